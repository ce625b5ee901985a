"""The whole workflow in Python, with each kind of data in memory, in one process and in a second one."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lossrank as lr
from cli.commands.demo import BUNDLE, DATA
from tests.lossrank.kinds import KINDS
from tests.support import ROOT, SOAK
from tests.support.fake_rubrix import FakeRubrix, talk_to

ROWS = 600
CLASSES = ["World", "Sports", "Business", "Sci/Tech"]


@pytest.fixture(scope="module")
def news() -> pa.Table:
    """The first rows of the demo's data."""
    return pq.read_table(DATA).slice(0, ROWS)


@pytest.fixture(scope="module")
def losses(news: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> dict[int, float]:
    """Each row's loss, from a run of the same rows in a file."""
    folder = tmp_path_factory.mktemp("file")
    pq.write_table(news, folder / "news.parquet")
    scores = lr.score(BUNDLE, folder / "news.parquet", folder / "run", progress=False).to_pandas()
    return dict(zip(scores["row"], scores["loss"], strict=True))


SHORT = ("Dataset",)  # the other kinds are make soak's


@pytest.mark.parametrize("kind", [kind if kind in SHORT else pytest.param(kind, marks=SOAK) for kind in KINDS])
def test_the_whole_workflow(
    kind: str, news: pa.Table, losses: dict[int, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    server = FakeRubrix()
    talk_to(server, monkeypatch)
    bundle = lr.load_bundle(BUNDLE)
    run = lr.score(bundle, KINDS[kind](news), "run", label_column="label", progress=False)
    scores = run.to_pandas()
    assert dict(zip(scores["row"], scores["loss"], strict=True)) == losses

    worst = run.worst(500)
    assert [row.row for row in worst] == sorted(losses, key=lambda row: (-losses[row], row))[:500]
    frame = worst.to_pandas()
    texts = news["text"].to_pylist()
    assert frame["text"].tolist() == [texts[row] for row in frame["row"]]
    assert frame["given"].tolist() == [CLASSES[news["label"][row].as_py()] for row in frame["row"]]
    assert run.health().rows == ROWS

    logged = run.log(to="rubrix", name="ag_news_error_analysis", top=500, progress=False)
    assert (logged.rows, logged.written, len(server.records)) == (500, 500, 500)
    review = run.review(user="bea")
    with urllib.request.urlopen(review.url) as page:
        assert page.status == 200
    review.stop()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(review.url)

    kept, relabelled, discarded, answered = (row.row for row in worst[:4])
    new = next(name for name in CLASSES if name != worst[1].given_name)
    run.decide({relabelled: new, kept: lr.KEEP, discarded: lr.DISCARD}, annotator="ann")
    id = next(id for id, record in server.records.items() if record["metadata"]["row"] == answered)
    server.answer(id, new if new != worst[3].given_name else "World", agent="cy")
    assert run.pull(progress=False).added == 1
    decided = run.decisions().to_pandas().set_index("row")
    assert decided["annotator"].to_dict() == {kept: "ann", relabelled: "ann", discarded: "ann", answered: "cy"}

    corrected = run.apply()
    assert isinstance(corrected, datasets.Dataset)
    assert corrected.features["label"].names == CLASSES
    assert corrected[relabelled]["label"] == CLASSES.index(new)
    assert corrected["label_status"][kept] == "kept"
    assert [row["text"] for row in corrected] == texts
    assert run.report("report.html").count == 100
    assert run.verify().complete
    after = lr.score(bundle, corrected, "audited", label_column="label", progress=False)
    assert lr.diff(run, after).matched == ROWS
    _reopened(kind, news, tmp_path, relabelled)


def _reopened(kind: str, news: pa.Table, folder: Path, relabelled: int) -> None:
    """Open the run in another process, with the data as the next kind, and do the rest of the workflow there."""
    names = list(KINDS)
    other = names[(names.index(kind) + 1) % len(names)]
    pq.write_table(news, folder / "rows.parquet")
    script = f"""
import json
import pyarrow.parquet as pq
import lossrank as lr
from tests.lossrank.kinds import KINDS

run = lr.open_run("run", data=KINDS[{other!r}](pq.read_table("rows.parquet")))
worst = run.worst(20).to_pandas()
logged = run.log(to="csv", output="worst.csv", top=20, progress=False)
corrected = run.apply(allow_test_split=True)
print(json.dumps({{
    "texts": worst["text"].tolist(), "rows": worst["row"].tolist(), "written": logged.written,
    "decided": len(run.decisions()), "report": run.report(format="md").count, "complete": run.verify().complete,
    "label": corrected[{relabelled}]["label_status"],
}}))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["texts"] == [news["text"][row].as_py() for row in found["rows"]]
    assert (found["written"], found["decided"], found["report"], found["complete"]) == (20, 4, 100, True)
    assert found["label"] == "relabelled"


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_other_rows_are_refused(news: pa.Table, tmp_path: Path) -> None:
    lr.score(BUNDLE, news, tmp_path / "run", progress=False)
    changed = news.to_pylist()
    changed[5]["label"] = (changed[5]["label"] + 1) % 4
    for other in (changed, news.slice(1), news.to_pandas()[::-1]):
        with pytest.raises(lr.SourceError):
            lr.open_run(tmp_path / "run", data=other).worst(3).to_pandas()


def test_a_dataframe_that_is_changed_later_changes_nothing(news: pa.Table, tmp_path: Path) -> None:
    frame = news.to_pandas()
    run = lr.score(BUNDLE, frame, tmp_path / "run", progress=False)
    row = run.worst(1)[0]
    frame.loc[row.row, "label"] = row.predicted
    frame.loc[row.row, "text"] = "edited"
    read = run.worst(1).to_pandas().loc[0]
    assert (read["label"], read["text"]) == (row.label, news["text"][row.row].as_py())
    assert run.verify().complete
    with pytest.raises(lr.SourceError):
        lr.open_run(tmp_path / "run", data=frame)


def test_class_names_in_another_order_are_other_data(news: pa.Table, tmp_path: Path) -> None:
    lr.score(BUNDLE, news, tmp_path / "run", progress=False)
    data = datasets.Dataset.from_dict({"text": news["text"].to_pylist(), "label": news["label"].to_pylist()})
    for names, same in ((CLASSES, True), (CLASSES[::-1], False)):
        labelled = data.cast_column("label", datasets.ClassLabel(names=names))
        if same:
            assert lr.open_run(tmp_path / "run", data=labelled).worst(1).source.num_rows == 1
        else:
            with pytest.raises(lr.SourceError, match="label 0 was 'World' and is 'Sci/Tech'"):
                lr.open_run(tmp_path / "run", data=labelled)


def test_a_ranking_is_shown_without_its_data(news: pa.Table, tmp_path: Path) -> None:
    lr.score(BUNDLE, news.slice(0, 30), tmp_path / "run", progress=False)
    shown = lr.open_run(tmp_path / "run").worst(5)._repr_html_()
    assert "in memory" in shown
    assert shown.count("<tr>") == 6


def test_a_page_is_started_and_stopped_once(news: pa.Table, tmp_path: Path) -> None:
    run = lr.score(BUNDLE, news.slice(0, 30), tmp_path / "run", progress=False)
    review = run.review(user="bea")
    with pytest.raises(lr.RunError):
        review.start()
    run.decide({3: "Sports"}, annotator="ann")
    review.stop()
    review.stop()
    assert set(review.decisions()) == {3}
    with pytest.raises(lr.RunError):
        review.start()


@pytest.mark.parametrize(
    ("decisions", "annotator", "error"),
    [
        ({True: "Sports"}, "ann", lr.RunError),
        ({3.5: "Sports"}, "ann", lr.RunError),
        ({3: "Spots"}, "ann", lr.RunError),
        ({3: 1}, "ann", lr.RunError),
        ({99: "Sports"}, "ann", lr.RunError),
        ([3], "ann", TypeError),
        (pd.Series(["Sports", "World"], index=[3, 3]), "ann", lr.RunError),
        ({3: "Sports"}, None, lr.RunError),
        ({3: "Sports", 4: "Spots"}, "ann", lr.RunError),
    ],
)
def test_wrong_decisions_store_nothing(decided: lr.Run, decisions: Any, annotator: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        decided.decide(decisions, annotator=annotator)
    assert {decision.row for decision in decided.decisions()} == {7}


@pytest.fixture(scope="module")
def decided(news: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> lr.Run:
    """A run of 30 rows with a decision on row 7, from a Series."""
    run = lr.score(BUNDLE, news.slice(0, 30), tmp_path_factory.mktemp("decided") / "run", progress=False)
    run.decide(pd.Series(["Sports"], index=np.array([7])), annotator="ann")
    return run
