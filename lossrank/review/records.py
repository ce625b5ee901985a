"""ReviewRecord: the content that a person needs to judge one ranked row, the same for every review tool."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from scorer import RankedRow, RunDirectory


@dataclass(frozen=True)
class ReviewRecord:
    """One row for a person to judge.

    ``inputs`` maps field names to texts. ``predicted`` is the model's class and its probability; ``given`` is the label
    in the data, None if there is none. ``metadata`` has the numbers (all finite) and names by which people sort and
    filter. ``id`` is made of the data's fingerprint and the row number, so a row has the same id in every run over the
    data, and ids sort by row. ``rank`` counts from 1, the worst.
    """

    id: str
    row: int
    inputs: dict[str, str]
    predicted: tuple[str, float]
    predicted_by: str
    given: str | None
    given_by: str
    metadata: dict[str, float | int | str] = field(default_factory=dict)
    rank: int = 1


@dataclass(frozen=True)
class Refusal:
    """A row that was left out of the records, and the reason."""

    row: int
    reason: str


def record_id(fingerprint: str, row: int) -> str:
    """Return the record id of a row in the data with this fingerprint."""
    return f"{fingerprint[:12]}-{row:09d}"


def row_of(record_id: object, fingerprint: str) -> int | None:
    """Return the row of a record id, or None if the id does not belong to the data with this fingerprint."""
    found = re.fullmatch(r"([^-]+)-([0-9]{9,18})", record_id) if isinstance(record_id, str) else None
    return int(found[2]) if found and found[1] == fingerprint[:12] else None


def build_records(
    run: RunDirectory, ranked_rows: Sequence[RankedRow], source: pa.Table
) -> tuple[list[ReviewRecord], list[Refusal]]:
    """Return the records of the ranked rows, and a Refusal for each row that can't become a record.

    A row is refused if its text is missing or not UTF-8, or if one of its numbers is not finite. ``source`` is a
    table with the columns of the data and one row per ranked row, in the same order.

    Raises:
        ValueError: ``source`` and ``ranked_rows`` differ in length.
    """
    if source.num_rows != len(ranked_rows):
        raise ValueError(f"`source` has {source.num_rows} rows; it must have {len(ranked_rows)}, one per ranked row")
    texts = source.column(run.columns.text)
    pair_column = run.columns.text_pair
    pairs = source.column(pair_column) if pair_column else None
    records: list[ReviewRecord] = []
    refused: list[Refusal] = []
    for position, ranked in enumerate(ranked_rows):
        try:
            text = _text(texts[position])
            pair = _text(pairs[position]) if pairs is not None else None
            records.append(_record(run, ranked, text, pair))
        except ValueError as error:
            refused.append(Refusal(ranked.row, str(error)))
    return records, refused


def _record(run: RunDirectory, ranked: RankedRow, text: str | None, pair: str | None) -> ReviewRecord:
    if text is None:
        raise ValueError("the row has no text")
    inputs = {"text": text}
    if pair is not None:
        inputs[_pair_field(str(run.columns.text_pair))] = pair
    predicted = run.class_names[ranked.predicted]
    probability = float(ranked.top_prob)
    metadata: dict[str, float | int | str] = {"row": int(ranked.row), "predicted": predicted}
    for name, number in (("loss", ranked.loss), ("margin", ranked.margin), ("entropy", ranked.entropy)):
        if number is not None:
            metadata[name] = float(number)
    if ranked.precision != "fp32":  # int8 numbers are marked, because they are not exact
        metadata["precision"] = ranked.precision
    if ranked.id is not None:
        metadata["id"] = ranked.id
    given = None if ranked.label is None else run.class_names[ranked.label]
    if given is not None:
        metadata["given"] = given
    for name, value in (*metadata.items(), ("probability", probability)):
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"the {name} is {value}, not a finite number")
    return ReviewRecord(
        id=record_id(run.data_fingerprint, ranked.row),
        row=ranked.row,
        inputs=inputs,
        predicted=(predicted, probability),
        predicted_by=run.model_name,
        given=given,
        given_by=run.data_name,
        metadata=metadata,
        rank=int(ranked.rank),
    )


def _text(value: Any) -> str | None:
    """Return a cell's text, None if the cell is null.

    Raises:
        ValueError: the text is not UTF-8; the caller then refuses only this row.
    """
    try:
        text = value.as_py()
    except UnicodeDecodeError:
        raise ValueError("the text is not valid UTF-8") from None
    return None if text is None else str(text)


def _pair_field(column: str) -> str:
    """Return the field name of a pair's second text: its column without dots, which servers take for nesting."""
    name = "_".join(part for part in column.replace(".", " ").split())
    return name if name not in ("", "text") else "text_pair"


def unwritable(record: ReviewRecord, encode: Callable[[ReviewRecord], bytes]) -> str | None:
    """Return the reason why a record can't be encoded, None if it can be encoded."""
    try:
        encode(record)
    except UnicodeEncodeError:
        return "the text can't be written as UTF-8"
    except ValueError:
        return "a number in the metadata is not finite"
    return None


def parted(
    records: list[ReviewRecord], problem: Callable[[ReviewRecord], str | None]
) -> tuple[list[ReviewRecord], list[Refusal]]:
    """Return the records without a problem, and for each other record a Refusal that names the problem."""
    problems = [(record, problem(record)) for record in records]
    taken = [record for record, reason in problems if reason is None]
    return taken, [Refusal(record.row, reason) for record, reason in problems if reason is not None]
