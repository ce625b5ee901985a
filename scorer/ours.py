"""What lossrank wrote, told from what is somebody else's: run directories."""

import json
from pathlib import Path

from scorer.lock import LOCK
from scorer.manifest import MANIFEST

SCORES = "scores"
_PARTS = {"format", "bundle", "data", "options", "shards"}


def is_run(folder: Path) -> bool:
    """Say whether a folder is a run directory, in whatever state."""
    # Another's run.json may be data of gigabytes.
    if not ((folder / LOCK).is_file() or (folder / SCORES).is_dir()):
        return False
    try:
        return _is_manifest(folder / MANIFEST)
    except (OSError, ValueError, RecursionError):
        return False


def may_hold_run(path: Path) -> bool:
    """Say whether a path may be written to: nothing there, an empty folder, or a run, if perhaps a damaged one."""
    if not path.is_dir():
        return not path.exists()
    names = {entry.name for entry in path.iterdir() if not entry.name.endswith(".tmp")}
    if MANIFEST not in names:
        return names <= {LOCK}
    try:
        return _is_manifest(path / MANIFEST)
    except (ValueError, RecursionError):
        return names <= {LOCK, MANIFEST, SCORES}


def _is_manifest(file: Path) -> bool:
    manifest = json.loads(file.read_text(encoding="utf-8"))
    # One of them may be missing: a damaged run is ours too.
    return isinstance(manifest, dict) and len(_PARTS & set(manifest)) > 3
