"""The three packages that lossrank is installed with, exporter, scorer and cli, must be the ones that Python finds."""

import importlib.util
import os
import sys
from pathlib import Path

_SIBLINGS = ("exporter", "scorer", "cli")


def refuse_others() -> None:
    """Check, without importing them, that Python finds the packages that lie beside lossrank.

    Raises:
        ImportError: a module or package of that name hides one; the message names both files.
        SystemExit: the same, while the `lossrank` command or `python -m lossrank` starts.
    """
    if fault := next(filter(None, map(_fault, _SIBLINGS)), None):
        raise SystemExit(f"Error: {fault}") if _is_command() else ImportError(fault)


def _fault(name: str) -> str | None:
    """Return what is wrong with where Python finds a package, None if nothing is."""
    own = Path(__file__).parents[1] / name / "__init__.py"
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # a module that was put into sys.modules by hand
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
    """Say whether lossrank is imported to run its command, whose errors are one line."""
    program = sys.argv[0] if getattr(sys, "argv", None) else ""
    by_module = program == "-m" and any(word in ("lossrank", "-mlossrank") for word in sys.orig_argv)
    return by_module or Path(program).name == "lossrank"
