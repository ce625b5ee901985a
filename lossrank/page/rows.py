"""PageRow: a ranked row with its texts and its given label."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lossrank.review.records import Refusal, build_records
from scorer import RankedRow, RunDirectory
from scorer.run.schema import UNKNOWN_LABEL_STATUS


@dataclass(frozen=True)
class PageRow:
    """One row to review: its scores, its texts by column, and its label in the data.

    ``given`` is the class name of the label. If the model has no such class, ``given`` is the label as written in the
    data; if the row has no label, ``given`` is None.
    """

    scores: RankedRow
    texts: dict[str, str]
    given: str | None

    @property
    def row(self) -> int:
        return self.scores.row

    @property
    def rank(self) -> int:
        return self.scores.rank


def page_rows(run: RunDirectory, ranked: Sequence[RankedRow], source: pa.Table) -> tuple[list[PageRow], list[Refusal]]:
    """Return the ranked rows that can be shown, and for every other row a refusal with the reason.

    ``source`` has the source columns of the rows, in the order of ``ranked`` [len(ranked)].
    """
    records, refused = build_records(run, ranked, source)
    shown = {record.row: record for record in records}
    text_columns = [name for name in (run.columns.text, run.columns.text_pair) if name]
    column = run.columns.label
    labels = source.column(column).to_pylist() if column else [None] * len(ranked)
    unknown = _with_unknown_label(run, ranked)
    rows = []
    for scores, label in zip(ranked, labels, strict=True):
        if scores.row in shown:
            record = shown[scores.row]
            given = str(label) if scores.row in unknown else record.given
            texts = dict(zip(text_columns, record.inputs.values(), strict=True))
            rows.append(PageRow(scores, texts, given))
    return rows, refused


def _with_unknown_label(run: RunDirectory, ranked: Sequence[RankedRow]) -> set[int]:
    """Return the numbers of the rows whose label is not a class of the model; rows without a label are not included."""
    rows = np.sort(np.array([scores.row for scores in ranked if scores.label is None], dtype=np.int64))
    statuses = run.take(rows)["status"].to_pylist()
    return {row for row, status in zip(rows.tolist(), statuses, strict=True) if status == UNKNOWN_LABEL_STATUS}
