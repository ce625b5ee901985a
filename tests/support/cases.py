"""Runs whose worst rows go out in files and come back."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from click.testing import Result

from lossrank.review.store import DecisionStore
from scorer import ModelBundle, RunDirectory, ScoreOptions, rank, score_dataset
from tests.support.tiny import CLASSES, make_texts

Lossrank = Callable[..., Result]


@dataclass(frozen=True)
class Case:
    """A run, and its five worst rows, all of which have a label but row 30."""

    run: RunDirectory
    rows: list[int]
    folder: Path

    def given(self, row: int) -> str:
        return CLASSES[row % 4]

    def other(self, row: int) -> str:
        return CLASSES[(row + 1) % 4]

    def held(self) -> dict[int, tuple[str, str | None, str]]:
        with DecisionStore(self.run) as store:
            return {row: (one.verdict, one.label, one.annotator) for row, one in store.current().items()}


def make_case(bundle: ModelBundle, folder: Path) -> Case:
    """Score sixty rows whose texts are formulas of a spreadsheet."""
    texts = [f"=cmd|' /C calc'!A0 {text}\r\nsecond; line" for text in make_texts(60)]
    labels: list[str | None] = [CLASSES[i % 4] for i in range(60)]
    labels[30] = None
    pq.write_table(pa.table({"text": texts, "label": labels}), folder / "news.parquet")
    score_dataset(bundle, folder / "news.parquet", folder / "run", ScoreOptions(threads=1))
    run = RunDirectory.open(folder / "run")
    return Case(run, [row.row for row in rank(run, 5)], folder)


def log(case: Case, lossrank: Lossrank, kind: str, name: str, *options: object) -> Path:
    """Write the five worst rows to a file."""
    file = case.folder / name
    result = lossrank("log", case.run.path, "--to", kind, "-o", file, *(options or ("--top", 5)))
    assert result.exit_code == 0, result.stderr
    return file


def read_csv(file: Path) -> list[dict[str, str]]:
    """Read a CSV file's rows by column."""
    return list(csv.DictReader(io.StringIO(file.read_bytes().decode("utf-8-sig"), newline="")))


def fill_in(file: Path, decisions: list[str], annotators: list[str] | None = None, **dialect: Any) -> bytes:
    """Fill in a CSV file's decisions, as a spreadsheet does, and return its bytes."""
    rows = read_csv(file)
    for i, decision in enumerate(decisions):
        rows[i]["decision"] = decision
        rows[i]["annotator"] = annotators[i] if annotators else ""
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]), **dialect)
    table.writeheader()
    table.writerows(rows)
    return text.getvalue().encode()
