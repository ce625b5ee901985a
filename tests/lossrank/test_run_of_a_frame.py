"""A run of a DataFrame with the gaps that real ones have goes on with a file of the same rows, in every command."""

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lossrank as lr
from lossrank.review.decision import DISCARDED, KEPT
from scorer import ModelBundle, RunDirectory, rank
from tests.support.commands import Lossrank, document, error_line, json_lines
from tests.support.facts import tells
from tests.support.publishing import decide
from tests.support.tiny import expected_loss, make_texts

N = 60
OPTIONS: dict[str, Any] = {"threads": 1, "shard_rows": 25, "id_column": "key", "progress": False}


def frame() -> pd.DataFrame:
    """Return texts with quotes, line breaks and gaps, labels that are floats for NaN, ids that are whole numbers."""
    texts: list[str | None] = [f'{text} "w1", w2\nw3' for text in make_texts(N, longest=20)]
    texts[7], texts[8] = None, "w1 é 中"
    labels = [float(i % 4) for i in range(N)]
    labels[9] = float("nan")
    return pd.DataFrame({"key": range(1000, 1000 + N), "text": texts, "label": labels, "note": [None, "b"] * (N // 2)})


def csv(file: Path, rows: pd.DataFrame) -> Path:
    rows.to_csv(file.with_suffix(".csv"), index=False)
    return file.with_suffix(".csv")


def jsonl(file: Path, rows: pd.DataFrame) -> Path:
    rows.to_json(file.with_suffix(".jsonl"), orient="records", lines=True)
    return file.with_suffix(".jsonl")


def parquet(file: Path, rows: pd.DataFrame) -> Path:
    rows.to_parquet(file.with_suffix(".parquet"), index=False)
    return file.with_suffix(".parquet")


def arrow(file: Path, rows: pd.DataFrame) -> Path:
    table = pa.Table.from_pandas(rows, preserve_index=False)
    with pa.ipc.new_file(file.with_suffix(".arrow"), table.schema) as stream:
        stream.write_table(table)
    return file.with_suffix(".arrow")


Write = Callable[[Path, pd.DataFrame], Path]
FILES = pytest.mark.parametrize("write", [csv, jsonl, parquet, arrow])


@pytest.fixture(scope="module")
def scored(tiny_bundle: ModelBundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("frame") / "run"
    lr.score(tiny_bundle, frame(), run, **OPTIONS)
    decide(run, {3: "World", 4: KEPT, 5: DISCARDED})
    return run


@pytest.fixture
def run(scored: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(scored, tmp_path / "run"))


@FILES
def test_every_command_goes_on_with_a_file_of_the_rows(
    tiny_bundle: ModelBundle,
    run: Path,
    tmp_path: Path,
    lossrank: Lossrank,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = frame()
    file = write(tmp_path / "rows", rows)
    worst = [row.row for row in rank(run, 5)]
    texts = [rows["text"][row] for row in worst]
    losses = [expected_loss(text, int(rows["label"][row])) for text, row in zip(texts, worst, strict=True)]
    ranked = document(lossrank("rank", run, "--top", 5, "--data", file, "--json"))["rows"]
    assert [row["source"]["text"] for row in ranked] == texts
    assert [row["loss"] for row in ranked] == pytest.approx(losses, abs=1e-4)
    assert [row["id"] for row in ranked] == [str(1000 + row) for row in worst]

    found = json.loads(lossrank("report", run, "--format", "json", "--data", file).stdout)
    assert [row["source"]["text"] for row in found["worst"]["rows"][:5]] == texts

    logged = tmp_path / "log.jsonl"
    assert lossrank("log", run, "--to", "jsonl", "-o", logged, "--top", 5, "--data", file).exit_code == 0
    assert [line["text"] for line in json_lines(logged)] == texts

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lossrank.page.review.Review.serve", stop)
        patch.setattr("cli.commands.review.browser_at", lambda address: contextlib.nullcontext())
        assert lossrank("review", run, "--top", 5, "--data", file).exit_code == 0
    page = lr.open_run(run, data=file).review(top=5, user="ann")
    shown = httpx.get(page.url, follow_redirects=True).text
    page.stop()
    assert texts[0].split('"')[0].strip() in shown

    assert lossrank("apply", run, "-o", tmp_path / "new.parquet", "--data", file).exit_code == 0
    corrected = pq.read_table(tmp_path / "new.parquet").to_pandas()
    labels = [float(label) if label not in ("", None) else None for label in corrected["label"].tolist()]
    assert labels[:7] == [0.0, 1.0, 2.0, 0.0, 0.0, 1.0, 2.0]  # row 3 was 3
    assert corrected["label_status"].tolist()[3:6] == ["relabelled", "kept", "discarded"]
    assert len(corrected) == N
    assert corrected["text"][8] == "w1 é 中"

    checked = lossrank("verify", run, "--data", file)
    assert checked.exit_code == 0, checked.output
    assert tells(checked.stdout, file.name, "what was scored")
    alone = lossrank("verify", run)
    assert alone.exit_code == 0
    assert tells(alone.stdout, "was in memory", "--data")

    again = lr.score(tiny_bundle, file, run, **OPTIONS)
    assert (again.rows, again.stats.rows_per_second) == (N, None)  # a finished run of the same rows
    lr.score(tiny_bundle, file, tmp_path / "other", **OPTIONS)
    theirs, ours = RunDirectory.open(tmp_path / "other"), RunDirectory.open(run)
    assert theirs.content_fingerprint == ours.content_fingerprint
    assert document(lossrank("diff", run, tmp_path / "other", "--json"))["notes"] == ["the runs are over the same data"]
    assert lossrank("pull", tmp_path / "other", run).exit_code == 0
    assert len(lr.open_run(tmp_path / "other").decisions()) == 3


@FILES
@pytest.mark.parametrize(("column", "row", "value"), [("text", 40, "w9"), ("label", 40, 3.0), ("key", 40, 5)])
def test_a_file_with_another_value_is_refused_and_verify_says_so(
    run: Path, tmp_path: Path, lossrank: Lossrank, write: Write, column: str, row: int, value: object
) -> None:
    rows = frame()
    rows.loc[row, column] = value
    file = write(tmp_path / "rows", rows)
    for command in (["rank", run, "--json"], ["apply", run, "-o", tmp_path / "new.parquet"]):
        refused = lossrank(*command, "--data", file)
        assert refused.exit_code == 1
        assert tells(error_line(refused), file.name, "not what was scored", "rows 25 to 49")
    checked = lossrank("verify", run, "--data", file)
    assert checked.exit_code == 1
    assert tells(checked.stdout, "wrong", file.name, "rows 25 to 49")
    assert not (tmp_path / "new.parquet").exists()
