"""Check that Python finds lossrank's own exporter, scorer and cli, not other packages with those names."""

import importlib.util
import os
import sys
from pathlib import Path

_SIBLINGS = ("exporter", "scorer", "cli")


def refuse_others() -> None:
    """Raise an error if Python doesn't find lossrank's own exporter, scorer and cli; none of them is imported.

    Raises:
        ImportError: another module or package hides one of the three (the message names both files), or one is missing.
        SystemExit: as for ImportError, but in the `lossrank` command or `python -m lossrank`.
    """
    if fault := next(filter(None, map(_fault, _SIBLINGS)), None):
        raise SystemExit(f"Error: {fault}") if _is_command() else ImportError(fault)


def _fault(name: str) -> str | None:
    """Return why Python doesn't find lossrank's own package ``name``, or None if Python finds it."""
    own = Path(__file__).parents[1] / name / "__init__.py"
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # a module without a spec, put into sys.modules by hand
        spec = None
    found = spec.origin if spec else None
    if found is None or found == str(own):
        return None if found else f"{own} is missing; install lossrank again"
    if os.path.realpath(found) == os.path.realpath(own):
        return None
    return (
        f"{found} hides lossrank's own {own}, as both are named {name!r}; rename or uninstall the first, or run "
        "from another folder"
    )


def _is_command() -> bool:
    """Return whether the `lossrank` command imports this module; the command prints errors on one line."""
    program = sys.argv[0] if getattr(sys, "argv", None) else ""
    by_module = program == "-m" and any(word in ("lossrank", "-mlossrank") for word in sys.orig_argv)
    return by_module or Path(program).name == "lossrank"
