"""The names of the files in a run directory, and tests of whether a path is a run or a part of one."""

import json
import re
from pathlib import Path

LOCK = ".lock"
MANIFEST = "run.json"
SCORES = "scores"
REVIEW = "review.sqlite"  # people's decisions; SQLite writes files beside it whose names begin with its name
ASIDE = ".before-"  # follows the name of a run that another one replaced; a time follows it
# The names that may occur in a run directory; a review adds a database.
_OURS = re.compile(rf"{re.escape(LOCK)}|{re.escape(MANIFEST)}|{SCORES}|{re.escape(REVIEW)}(-\w+)?")
SHARD = re.compile(r"part-\d{5,}\.parquet")
WINDOWS = re.compile(r"\.part-\d{5,}\.\d+\.arrow")  # the finished windows of a shard that is not finished
_PARTS = {"format", "bundle", "data", "options", "shards"}


def is_run(folder: Path) -> bool:
    """Return whether a folder is a run directory; an unfinished or damaged run directory counts too."""
    # Checked before run.json is read, because another program's run.json may be gigabytes of data.
    if not ((folder / LOCK).is_file() or (folder / SCORES).is_dir()):
        return False
    try:
        return _is_manifest(folder / MANIFEST)
    except (OSError, ValueError, RecursionError):
        return False


def is_part_of_run(place: Path) -> bool:
    """Return whether a path names a file of a run directory; the file need not exist."""
    place = place.resolve()
    in_scores = SHARD.fullmatch(place.name) and place.parent.name == SCORES
    return bool(in_scores and is_run(place.parent.parent)) or bool(_OURS.fullmatch(place.name) and is_run(place.parent))


def may_hold_run(path: Path) -> bool:
    """Return whether a run may be written to a path: it is missing, an empty folder, or a run (even a damaged one)."""
    if not path.is_dir():
        return not path.exists()
    names = _names(path)
    if MANIFEST not in names:
        return names <= {LOCK}
    if all(map(_OURS.fullmatch, names)) and all(map(_is_score, _names(path / SCORES))):
        return True
    try:
        return _is_manifest(path / MANIFEST)
    except (ValueError, RecursionError):
        return False


def windows_file(shard: Path, rows: int) -> Path:
    """Return the hidden file with the first ``rows`` rows of a shard that is not finished."""
    return shard.with_name(f".{shard.stem}.{rows}.arrow")


def _is_score(name: str) -> bool:
    return bool(SHARD.fullmatch(name) or WINDOWS.fullmatch(name))


def _names(folder: Path) -> set[str]:
    """Return the names in a folder, without the temporary files of interrupted writes; empty if it is a file."""
    return {entry.name for entry in folder.iterdir() if not entry.name.endswith(".tmp")} if folder.is_dir() else set()


def _is_manifest(file: Path) -> bool:
    manifest = json.loads(file.read_text(encoding="utf-8"))
    # One part may be missing: a damaged run is still a run.
    return isinstance(manifest, dict) and len(_PARTS & set(manifest)) > 3
