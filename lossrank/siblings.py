"""Check that Python finds lossrank's own exporter, scorer and cli, not other packages with those names."""

import importlib.util
import os
import sys
from pathlib import Path

_SIBLINGS = ("exporter", "scorer", "cli")


def refuse_others() -> None:
    """Raise if a package next to lossrank isn't the one that Python finds; import none of them.

    Raises:
        ImportError: another module or package has the same name; the message names both files.
        SystemExit: the same, but in the `lossrank` command or `python -m lossrank`.
    """
    if fault := next(filter(None, map(_fault, _SIBLINGS)), None):
        raise SystemExit(f"Error: {fault}") if _is_command() else ImportError(fault)


def _fault(name: str) -> str | None:
    """Return why Python doesn't find lossrank's own package of a name, None if it does."""
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
        f"{found} hides lossrank's own {own}, as both are named {name!r}; rename it, uninstall it, or run from "
        "another folder"
    )


def _is_command() -> bool:
    """Return whether lossrank is imported to run its command, which prints errors on one line."""
    program = sys.argv[0] if getattr(sys, "argv", None) else ""
    by_module = program == "-m" and any(word in ("lossrank", "-mlossrank") for word in sys.orig_argv)
    return by_module or Path(program).name == "lossrank"
