"""Check that the corrected data set may be written to an output: a .parquet file, or a folder in the hub's layout."""

import re
from pathlib import Path
from typing import Any

from lossrank.publish.card_merge import MARK, read_card
from scorer import RunError

CARD = "README.md"
_SAVED = r"data-\d{5,}-of-\d{5,}\.arrow|dataset_info\.json|state\.json"
_OF_THE_SYSTEM = (".DS_Store", "Thumbs.db", "desktop.ini")


def refuse_output(out: Path, split: str, *, force: bool) -> None:
    """Raise RunError if ``out`` may not be written to, as a .parquet file or as a folder for ``split``.

    Raises:
        RunError: ``out`` has the ending of another format, has no name, or is a link.
        RunError: the folder that would hold ``out`` does not exist.
        RunError: ``out`` exists and ``force`` is false.
        RunError: ``out`` is a folder but has the name of a .parquet file, or is a file but has another name.
        RunError: ``out`` is a folder that `lossrank apply` did not write, or has entries that `apply` does not write.
        RunError: the card in ``out`` can't be read.
    """
    if out.suffix.lower() in (".csv", ".tsv", ".jsonl", ".json", ".arrow", ".gz", ".zst", ".xlsx", ".sqlite"):
        raise RunError(f"`output` {out} must be a .parquet file, or a folder for the hub's layout")
    if out.name in ("", ".."):
        raise RunError(f"`output` {out} has no name; give the name of a folder or of a .parquet file")
    if out.is_symlink():
        raise RunError(f"{out} is a link to {out.readlink()}; give that path as `output`")
    if not out.parent.is_dir():
        raise RunError(f"{out.parent} is not a folder; make it first")
    if not out.exists():
        return
    if is_file_output(out) != out.is_file():
        what = "a folder, but a name in .parquet is for a file" if out.is_dir() else "a file, not a folder"
        raise RunError(f"{out} is {what}; choose another `output`")
    if not force:
        raise RunError(f"{out} exists; choose another `output`, or replace it with `force=True`")
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not _is_ours(out):
        raise RunError(f"{out} was not written by `lossrank apply`, so it is not replaced; choose another `output`")
    if others := _others(out, split):
        more = f" and {len(others) - 1:,} more" if len(others) > 1 else ""
        raise RunError(
            f"{out} is not replaced, because it contains {others[0]}{more}, which `lossrank apply` would not write for "
            f"the split {split}; move what is not part of that split away, or choose another `output`"
        )
    card_there(out)


def card_there(out: Path) -> Any:
    """Return the card of a folder that will be replaced, None if it has none.

    Raises:
        RunError: the card can't be read.
    """
    card = out / CARD
    return read_card(card.read_bytes(), str(card)) if card.is_file() else None


def is_file_output(out: Path) -> bool:
    """Return whether an output is a single file rather than a folder."""
    return out.suffix.lower() in (".parquet", ".pq")


def _is_ours(out: Path) -> bool:
    try:
        return MARK in (out / CARD).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False


def _others(out: Path, split: str) -> list[str]:
    """Return the entries of a folder that ``apply`` does not write for this split."""
    written = re.compile(rf"{re.escape(CARD)}|data/{re.escape(split)}-\d{{5,}}-of-\d{{5,}}\.parquet|{_SAVED}")
    found = []
    for folder in (out, out / "data"):
        for entry in folder.iterdir() if folder.is_dir() else ():
            name = entry.relative_to(out).as_posix()
            is_ours = name == "data" if entry.is_dir() else written.fullmatch(name) or entry.name in _OF_THE_SYSTEM
            if not is_ours:
                found.append(name)
    return sorted(found)
