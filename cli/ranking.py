"""The options that choose the worst rows, shared by `rank` and `log`, and the file that a command writes."""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, TypeVar

import click
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from cli.output import data_option, json_line
from scorer import RankedRow, RunDirectory, RunError
from scorer.address import is_remote
from scorer.files import write_atomically
from scorer.find import would_read
from scorer.formats import format_of
from scorer.ours import is_part_of_run, is_run
from scorer.rank import MEASURES
from scorer.store import local_place

F = TypeVar("F", bound=Callable[..., Any])


def ranking_options(default_top: int) -> Callable[[F], F]:
    """Add --top, --by, --per-class, --pair and --data to a command."""

    def decorate(command: F) -> F:
        for option in reversed(
            [
                click.option("--top", type=click.IntRange(min=1), help=f"How many rows.  [default: {default_top}]"),
                click.option(
                    "--by",
                    type=click.Choice(MEASURES),
                    default="loss",
                    show_default=True,
                    help="The measure; entropy needs no label.",
                ),
                click.option(
                    "--per-class", type=click.IntRange(min=1), help="The worst N of each given class instead."
                ),
                click.option(
                    "--pair", metavar="GIVEN:PREDICTED", help="Only rows of one given and one predicted class."
                ),
                data_option,
            ]
        ):
            command = option(command)
        return command

    return decorate


def ranking_table(run: RunDirectory, ranked: list[RankedRow], source: pa.Table) -> pa.Table:
    """Return ranked rows with their scores and every column of ``source``, [len(ranked)] rows."""
    names = run.class_names
    scores = pa.table(
        {
            "rank": pa.array([row.rank for row in ranked], pa.int64()),
            "row": pa.array([row.row for row in ranked], pa.int64()),
            "loss": pa.array([row.loss for row in ranked], pa.float32()),
            "given": pa.array([None if row.label is None else names[row.label] for row in ranked], pa.string()),
            "predicted": pa.array([names[row.predicted] for row in ranked], pa.string()),
            "label_prob": pa.array([row.label_prob for row in ranked], pa.float32()),
            "top_prob": pa.array([row.top_prob for row in ranked], pa.float32()),
            "margin": pa.array([row.margin for row in ranked], pa.float32()),
            "entropy": pa.array([row.entropy for row in ranked], pa.float32()),
            "n_tokens": pa.array([row.n_tokens for row in ranked], pa.int32()),
            "truncated": pa.array([row.truncated for row in ranked], pa.bool_()),
            "precision": pa.array([row.precision for row in ranked], pa.string()),
        }
    )
    return with_source_columns(scores, source)


def with_source_columns(table: pa.Table, source: pa.Table) -> pa.Table:
    """Return a table with every column of ``source``, of the same rows, beside its own.

    One that is named like a column of the table gets the prefix ``source_``, as often as it takes to be its own name.
    """
    own = table.column_names
    taken = {*own, *source.column_names}
    for column in source.column_names:
        name = column
        if name in own:
            while name in taken:
                name = f"source_{name}"
            taken.add(name)
        table = table.append_column(name, source.column(column))
    return table


def say_precision(run: RunDirectory, ranked: list[RankedRow]) -> None:
    """Say on stderr what ``precision_note`` says."""
    if note := precision_note(run, ranked):
        click.echo(note, err=True)


def precision_note(run: RunDirectory, ranked: list[RankedRow]) -> str | None:
    """Return how many of the rows have int8 numbers, and what would have them in fp32; None if there are none."""
    in_int8 = sum(row.precision == "int8" for row in ranked)
    if not in_int8:
        return None
    options = run.manifest["options"]
    if options["precision"] == "screen":
        why = (
            f"this screen has the {options['screen_top']:,} worst losses of all rows in fp32; for more of them score "
            "with a larger --screen-top, for other orders and filters with --precision fp32"
        )
    else:
        why = "score with --precision screen or fp32 for exact ones"
    return f"{in_int8:,} of these {len(ranked):,} rows have int8 numbers: {why}."


def ranking_records(run: RunDirectory, ranked: list[RankedRow], source: pa.Table) -> list[dict[str, Any]]:
    """Return ranked rows as JSON has them: each ``RankedRow``, the names of its classes and its source columns."""
    names = run.class_names
    return [
        {
            **asdict(row),
            "given_name": None if row.label is None else names[row.label],
            "predicted_name": names[row.predicted],
            "source": columns,
        }
        for row, columns in zip(ranked, source.to_pylist(), strict=True)
    ]


def check_output(output: Path, force: bool) -> None:
    """Refuse a file that can't be written, before any work is done.

    Raises:
        RunError: the ending is not one of .parquet, .csv, .jsonl, its folder is not there, it is a folder itself, or
            it is there (without ``force``).
    """
    if output.suffix.lower() not in _WRITERS:
        raise RunError(f"{output} must end in {', '.join(_WRITERS)}, which says the format")
    refuse_existing(output, force)


def refuse_existing(output: Path, force: bool) -> None:
    """Pass a file that may be written.

    Raises:
        RunError: its folder is not there, it is a folder itself, part of a run, or there (without ``force``).
    """
    if not output.parent.is_dir():
        raise RunError(f"{output.parent} is not a folder; make it first")
    if output.is_dir():
        raise RunError(f"{output} is a folder; give -o a file in it")
    if is_part_of_run(output) or (output.exists() and any(map(is_run, output.resolve().parents[:2]))):
        raise RunError(f"{output} is part of a run, which --force does not replace; choose another name")
    if output.exists() and not force:
        raise RunError(f"{output} exists; choose another name, or replace it with --force")


def refuse_own_data(place: Path, run: RunDirectory, data: Iterable[str] = (), *, is_folder: bool = False) -> None:
    """Pass a place that is neither the run's data nor would be read as part of them the next time.

    ``data`` is where they lie now, if they have moved; of a place that will be a folder nothing in it may be read.

    Raises:
        RunError: it is; no ``--force`` replaces it.
    """
    spec = run.manifest["data"]["spec"]
    recorded = spec.get("data", [])
    files = [file["file"] for file in spec.get("files", [])]
    parent = place.parent.resolve()
    for given in [*([recorded] if isinstance(recorded, str) else recorded), *files, *data]:
        if is_remote(given):
            continue
        here = Path(local_place(given).path)
        inside = here.is_dir() and (parent / place.name).is_relative_to(here.resolve())
        if would_read(given, place) or (inside and (is_folder or format_of(place.name) is not None)):
            raise RunError(f"{place} is in the data that were scored ({given}); choose another place")
        if here.resolve().is_relative_to(place.resolve()):
            raise RunError(f"{place} is where the data lie that were scored ({given}); choose another place")


def write_table(table: pa.Table, output: Path) -> None:
    """Write a table as the format its name ends in, whole or not at all.

    Raises:
        RunError: the disk is full or the folder can't be written.
    """
    write_atomically(output, lambda stream: _WRITERS[output.suffix.lower()](table, stream))


def _write_csv(table: pa.Table, stream: IO[bytes]) -> None:
    for i, column in enumerate(table.schema):
        if pa.types.is_nested(column.type) or pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            values = [None if value is None else json_line(value) for value in table.column(i).to_pylist()]
            table = table.set_column(i, column.name, pa.array(values, pa.string()))
    pa.csv.write_csv(table, stream)


def _write_jsonl(table: pa.Table, stream: IO[bytes]) -> None:
    for record in table.to_pylist():
        stream.write(json_line(record).encode() + b"\n")


_WRITERS: dict[str, Callable[[pa.Table, IO[bytes]], None]] = {
    ".parquet": lambda table, stream: pq.write_table(table, stream, compression="zstd"),
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
}
