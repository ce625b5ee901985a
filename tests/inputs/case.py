"""Input: a file or folder as people have it, and what `lossrank score` must make of it: its rows, or one line."""

import io
import json
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.tiny import CLASSES

ISSUE = "issue 15"  # the kinds that the issue names; every other kind has the public report that it is made after,
OWN = "own"  # or is our own idea
BINARY = ("NEGATIVE", "POSITIVE")
THREE = ("negative", "neutral", "positive")

Files = bytes | str | dict[str, bytes] | Callable[[Path], None]

NEWS = (
    ("Voters went to the polls after a week of protests in the capital", "World"),
    ("Der Stürmer traf zweimal und Düsseldorf gewann das Spiel 3:1", "Sports"),
    ("Shares of the carmaker fell and the bank cut its profit forecast", "Business"),
    ("A new telescope software finds the oldest galaxies ✨", "Sci/Tech"),
    ("Peace talks between the two governments ended without a treaty", "World"),
    ("The coach praised her goalkeeper after the final in São Paulo", "Sports"),
    ("日本の自動車会社の株価は 火曜日に下落した", "Business"),
    ("Researchers wrote a browser that needs half of the memory", "Sci/Tech"),
    ("The minister resigned because of the election in naïve haste", "World"),
    ("Our team won the cup with a penalty in the last minute 🏆", "Sports"),
    ("Oil prices rose by 2 dollars a barrel as stocks ran low", "Business"),
    ("Microsoft patched a hole in its web server", "Sci/Tech"),
)
EUROPEAN = (  # every text is in cp1252 and Latin-1
    ("Café owners in Orléans protest against the président", "World"),
    ("Müller köpft zum Sieg und Größe zeigt auch der Verlierer", "Sports"),
    ("El año acabó con pérdidas para la compañía española", "Business"),
    ("Über den neuen Prozessor schreibt die Zeitschrift c't ausführlich", "Sci/Tech"),
    ("Le ministre a démissionné après la grève générale à Genève", "World"),
    ("A seleção venceu o jogo com três golos no último quarto de hora", "Sports"),
)


@dataclass(frozen=True)
class Row:
    """A row of the data; its text is None where nothing can be compared."""

    text: str | None
    label: str | None
    status: str
    pair: str | None = None


@dataclass(frozen=True)
class Stops:
    """The run ends with one line that holds these parts, whatever their case, and none of ``without``."""

    parts: tuple[str, ...]
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scored:
    """The run has these rows, and its plan says these words; where ``stops`` is given, that is right too."""

    rows: tuple[Row, ...]
    says: tuple[str, ...] = ()
    stops: Stops | None = None


@dataclass(frozen=True)
class Input:
    """One kind of input.

    ``found`` is where the kind was found. ``made`` is the content of the file ``file``, files by name in a folder of
    that name, or a function that writes it. In ``options``, ``{folder}`` is the folder of ``beside``, more files.
    """

    name: str
    found: str
    file: str
    made: Files
    expected: Scored | Stops
    options: tuple[str, ...] = ()
    beside: tuple[tuple[str, str], ...] = ()
    classes: tuple[str, ...] = CLASSES

    def write(self, folder: Path) -> Path:
        """Write the input below a folder, and return its path."""
        for name, content in self.beside:
            (folder / name).write_text(content, encoding="utf-8")
        path = folder / self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        if callable(self.made):
            self.made(path)
        elif isinstance(self.made, dict):
            for name, data in self.made.items():
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                (path / name).write_bytes(data)
        else:
            path.write_bytes(self.made.encode() if isinstance(self.made, str) else self.made)
        return path


def row(text: str | None, label: str | None = None, status: str | None = None, pair: str | None = None) -> Row:
    """Return a row with the status that follows from its text and label, unless one is given."""
    return Row(text, label, status or ("no_text" if text is None else "ok" if label else "no_label"), pair)


def scored(rows: Iterable[tuple[str | None, str | None] | Row] = NEWS, *says: str) -> Scored:
    """Return the expectation of these rows and nothing else."""
    return Scored(tuple(each if isinstance(each, Row) else row(*each) for each in rows), says)


def stops(*parts: str, without: tuple[str, ...] = ()) -> Stops:
    """Return the expectation of one line."""
    return Stops(parts, without)


def either(rows: Iterable[tuple[str | None, str | None] | Row], *parts: str) -> Scored:
    """Return the expectation of these rows, or of one line: where both would serve a user."""
    return Scored(scored(rows).rows, (), Stops(parts))


def unlabelled(rows: Iterable[tuple[str, str]] = NEWS) -> list[tuple[str, None]]:
    """Return the rows without their labels."""
    return [(text, None) for text, _ in rows]


def lines(*each: str, end: str = "\n") -> str:
    """Return the lines, each with its end."""
    return "".join(line + end for line in each)


def table(rows: Iterable[Iterable[Any]] = NEWS, header: str = "text,label", by: str = ",", end: str = "\n") -> str:
    """Return a table of fields that need no quotes, or have them."""
    return lines(*([header] if header else []), *(by.join(map(str, fields)) for fields in rows), end=end)


def quoted(rows: Iterable[tuple[str, str]] = NEWS, header: str = '"text","label"', by: str = ",") -> str:
    """Return a table with quotes around every field."""
    return table(([f'"{field}"' for field in fields] for fields in rows), header, by)


def numbered(rows: Iterable[tuple[str, str]] = NEWS, classes: tuple[str, ...] = CLASSES, first: int = 0) -> Any:
    """Return the rows with the number of each class in place of its name."""
    return [(text, classes.index(label) + first) for text, label in rows]


def json_lines(records: Iterable[Any], end: str = "\n", **options: Any) -> str:
    """Return one document a line."""
    return lines(*(json.dumps(record, **{"ensure_ascii": False, **options}) for record in records), end=end)


def records(rows: Iterable[tuple[Any, Any]] = NEWS, text: str = "text", label: str = "label") -> list[dict[str, Any]]:
    """Return the rows as one dict each."""
    return [{text: first, label: second} for first, second in rows]


def parquet(rows: Iterable[tuple[Any, Any]] = NEWS, *, text: Any = None, label: Any = None, **more: list[Any]) -> bytes:
    """Return a Parquet file of the rows, with the given Arrow types and further columns."""
    rows = list(rows)
    first = pa.array([one[0] for one in rows], text)
    second = pa.array([one[1] for one in rows], label)
    return parquet_of(pa.table({"text": first, "label": second, **more}))


def parquet_of(data: pa.Table) -> bytes:
    """Return a table's Parquet file."""
    stream = io.BytesIO()
    pq.write_table(data, stream)
    return stream.getvalue()


def zipped(files: dict[str, str]) -> bytes:
    """Return a zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()
