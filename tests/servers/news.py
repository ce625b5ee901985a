"""The scored run that people review on every server, and what came of it."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cli.review.records import record_id
from cli.review.store import DecisionStore
from scorer import ModelBundle, RunDirectory, ScoreOptions, score_dataset
from tests.tiny import CLASSES, make_texts

ROOT = Path(__file__).parents[2]
Decisions = dict[int, tuple[str, str | None, str]]


def make_news(bundle: ModelBundle, folder: Path) -> RunDirectory:
    """600 scored rows, one of them with a text of every kind."""
    texts = make_texts(600, longest=40)
    texts[7] = "<script>alert(1)</script> & $text \u2028 😀 \t 'w1' w2"
    labels = [CLASSES[row % 4] for row in range(600)]
    pq.write_table(pa.table({"text": texts, "label": labels}), folder / "news.parquet")
    score_dataset(bundle, folder / "news.parquet", folder / "run", ScoreOptions(threads=1))
    return RunDirectory.open(folder / "run")


def given(row: int) -> str:
    return CLASSES[row % 4]


def other(row: int) -> str:
    return CLASSES[(row + 1) % 4]


def id_of(run: RunDirectory, row: int) -> str:
    return record_id(run.data_fingerprint, row)


def decisions(run: RunDirectory) -> Decisions:
    """Return each decided row's verdict, label and annotator."""
    with DecisionStore(run) as store:
        return {row: (one.verdict, one.label, one.annotator) for row, one in store.current().items()}


def logging(run: RunDirectory, tool: str, name: str, *options: str) -> "subprocess.Popen[str]":
    """Start `lossrank log` of all rows in a process of its own."""
    arguments = ["log", str(run.path), "--to", tool, "--name", name, "--top", "600", *options]
    command = [sys.executable, "-c", "from cli.main import run; run()", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
