"""format_of(): the reader for a file, by its name."""

from scorer.data.filesystem import COMPRESSION
from scorer.data.formats.base import Format
from scorer.data.formats.binary import ARROW, PARQUET
from scorer.data.formats.csv_file import CSV
from scorer.data.formats.fasttext import FASTTEXT
from scorer.data.formats.json_file import JSON
from scorer.data.formats.text_files import suffixes

_FORMATS = {
    ".parquet": PARQUET,
    ".pq": PARQUET,
    ".arrow": ARROW,
    ".feather": ARROW,
    ".ipc": ARROW,
    ".csv": CSV,
    ".tsv": CSV,
    ".jsonl": JSON,
    ".ndjson": JSON,
    ".json": JSON,
    ".txt": FASTTEXT,
}
_UNREAD = (".xz", ".lzma", ".7z", ".br", ".sz", ".snappy", ".z")  # compressions that pyarrow can't read


def format_of(name: str) -> Format | None:
    """Return the reader for a file by its name, or None for an unknown format."""
    found = suffixes(name)
    if found and found[-1] in COMPRESSION:
        found.pop()
        kind = _FORMATS.get(found[-1]) if found else None
        return kind if kind is not None and kind.is_text else None
    return _FORMATS.get(found[-1]) if found else None


def is_packed(name: str) -> bool:
    """Return whether a file, by its name, has a known format but a compression that can't be read."""
    inner, outer = ["", "", *suffixes(name)][-2:]
    return (
        inner in _FORMATS and inner != ".txt" and (outer in COMPRESSION or outer in _UNREAD) and format_of(name) is None
    )


def is_text_format(name: str) -> bool:
    """Return whether a file, by its name, has a format of which every column is read as text."""
    kind = format_of(name)
    return kind is not None and kind.is_text


def known_suffixes() -> str:
    """Return a list of the file endings that can be read, for an error message."""
    known = ", ".join(sorted(set(_FORMATS) - {".txt"}))
    return f"{known} (text formats also with {', '.join(COMPRESSION)}), fastText's .txt, and .zip with one such file"
