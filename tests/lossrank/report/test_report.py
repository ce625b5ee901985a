"""`lossrank report` shows the same numbers as `rank` and the summary."""

import html
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.synthetic.make_run import make_run
from lossrank.errors import ArgumentError
from lossrank.report.report import report
from lossrank.report.wording import status
from lossrank.review.store import DecisionStore
from scorer import ModelBundle, RunDirectory, ScoreOptions, score_dataset
from scorer.run.schema import STATUSES
from tests.support.commands import Lossrank, read_report
from tests.support.facts import counts, facts, tells
from tests.support.manifests import altered
from tests.support.tiny import make_bundle, make_texts


def test_the_worst_rows_are_ranks_with_its_options(own: Path, lossrank: Lossrank) -> None:
    pair = ["--pair", "World:Sports", "--top", 100]
    for options in (["--top", 7], ["--per-class", 3], pair, ["--by", "margin", "--top", 5]):
        ranked = json.loads(lossrank("rank", own, *options, "--json").stdout)
        rows = read_report(lossrank, own, *options)["worst"]["rows"]
        assert rows
        assert [{key: value for key, value in row.items() if key != "decision"} for row in rows] == ranked["rows"]


@pytest.mark.parametrize("name", ["top", "per_class"])
def test_a_report_of_no_rows_is_refused(own: Path, name: str) -> None:
    with pytest.raises(ArgumentError, match=facts(f"`{name}`", 0, 1)):
        report(own, format="json", **{name: 0})  # type: ignore[arg-type]


def test_the_headline_numbers_are_the_summarys_in_every_format(own: Path, lossrank: Lossrank, tmp_path: Path) -> None:
    summary = json.loads((own / "run.json").read_text())["summary"]
    document = read_report(lossrank, own)
    for name in ("rows", "by_status", "by_precision", "truncated", "mean_loss", "accuracy"):
        assert document[name] == summary[name], name
    assert lossrank("report", own, "-o", tmp_path / "report.html").exit_code == 0
    page, text = (tmp_path / "report.html").read_text(), lossrank("report", own, "--format", "md").stdout
    assert any(tells(line, "truncated", document["truncated"]) for line in text.splitlines() if line.startswith("|"))
    business = document["classes"][2]
    numbers = [
        f"{summary['mean_loss']:.4f}",
        f"{summary['accuracy']:.2%}",
        f"{document['disagreeing']:,}",
        f"{business['mean_loss']:.3f}",
        f"{document['worst']['rows'][0]['loss']:.3f}",
        document["how"]["data_fingerprint"],
        document["how"]["bundle_sha256"],
        *(f"{rows:,}" for row in document["confusion"] for rows in row),
    ]
    for number in numbers:
        assert number in page, number
        assert number in text, number
    assert sum(map(sum, document["confusion"])) == document["scored"] == summary["by_status"]["ok"]
    assert sum(document["histogram"]["agree"]) + sum(document["histogram"]["disagree"]) == document["scored"]
    assert len(document["worst"]["rows"]) == 100


def test_no_machine_and_no_place_is_in_a_report(own: Path, data: Path, lossrank: Lossrank) -> None:
    text = json.dumps(read_report(lossrank, own, "--top", 1))
    host = RunDirectory.open(own).manifest.history[0].host
    assert str(data.parent) not in text
    assert str(own.parent) not in text
    assert f'"{host}"' not in text


@pytest.mark.parametrize(
    ("why", "shown"),
    [
        ("SourceError: /home/ann/data/b.csv was added to the data", "SourceError"),
        ("OSError: [Errno 28] No space left: '/home/ann/run'", "OSError"),
        ("/home/ann/data was there: an older lossrank's words", "error"),
        (None, "unknown"),
        ("interrupted", "interrupted"),
    ],
)
def test_of_a_process_that_failed_only_the_errors_kind_is_in_a_report(
    tmp_path: Path, lossrank: Lossrank, why: str | None, shown: str
) -> None:
    run = make_run(tmp_path / "run", 100, 100)
    done = {"started": "2026-01-01T00:00:00+00:00", "updated": "2026-01-01T00:00:00+00:00", "rows": 50, "seconds": 1.0}
    altered(run, history=[done | {"ended": done["updated"], "why": why, "pid": 1, "host": "h"}]).save()
    for form in ("html", "md", "json"):
        assert lossrank("report", run.path, "--no-texts", "-o", tmp_path / f"report.{form}").exit_code == 0
        content = (tmp_path / f"report.{form}").read_text()
        assert "/home" not in content
        assert (f'"why": "{shown}"' if form == "json" else f"50 rows in 1.0 s, {shown}") in content


def test_decisions_are_counted_and_shown_with_their_rows(own: Path, lossrank: Lossrank, tmp_path: Path) -> None:
    opened = RunDirectory.open(own)
    assert read_report(lossrank, own, "--top", 3)["review"] is None
    worst = [row["row"] for row in read_report(lossrank, own, "--top", 3)["worst"]["rows"]]
    DecisionStore(opened).close()  # an empty store, as `log` creates it
    assert read_report(lossrank, own, "--top", 3)["review"] is None
    assert "## Review" not in lossrank("report", own, "--top", 3, "--format", "md").stdout
    with DecisionStore(opened) as store:
        store.decide(worst[0], "relabelled", "Sports", annotator="ann")
        store.decide(worst[1], "kept", annotator="ann")
        store.decide(worst[1], "discarded", annotator="bob")
    document = read_report(lossrank, own, "--top", 3)
    counts = {name: document["review"][name] for name in ("kept", "relabelled", "discarded", "unreviewed")}
    assert counts == {"kept": 0, "relabelled": 1, "discarded": 1, "unreviewed": 998}
    assert [row["decision"] for row in document["worst"]["rows"]] == [
        {"verdict": "relabelled", "label": "Sports"},
        {"verdict": "discarded", "label": None},
        None,
    ]
    assert "relabelled: Sports" in lossrank("report", own, "--top", 3, "--format", "md").stdout
    assert lossrank("report", own, "-o", tmp_path / "report.html").exit_code == 0
    assert "relabelled: Sports" in (tmp_path / "report.html").read_text()


def test_without_labels_there_is_a_line_why_and_entropy(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path, lossrank: Lossrank
) -> None:
    run = tmp_path / "run"
    pq.write_table(rows.select(["text"]), tmp_path / "news.parquet")
    score_dataset(tiny_bundle, tmp_path / "news.parquet", run, ScoreOptions(threads=1))
    document = read_report(lossrank, run)
    assert tells(document["no_labels"], "no row", "label")
    assert [document[name] for name in ("confusion", "classes", "pairs", "histogram", "mean_loss")] == [None] * 5
    assert document["worst"]["by"] == "entropy"
    assert lossrank("report", run, "-o", tmp_path / "report.html").exit_code == 0
    page = (tmp_path / "report.html").read_text()
    assert document["no_labels"] in page
    assert "<svg" not in page
    assert document["no_labels"] in lossrank("report", run, "--format", "md").stdout
    asked = lossrank("report", run, "-o", tmp_path / "other.html", "--by", "loss")
    assert asked.exit_code == 1
    assert tells(asked.stderr, "Error", run, "loss")
    assert not (tmp_path / "other.html").exists()


def test_without_predictions_there_is_still_a_report(
    tiny_bundle: ModelBundle, tmp_path: Path, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scorer.pipeline.score.refuse_hardly_any", lambda stats: None)  # as in older versions
    pq.write_table(pa.table({"text": ["", "  "], "label": ["World", "Sports"]}), tmp_path / "news.parquet")
    score_dataset(tiny_bundle, tmp_path / "news.parquet", tmp_path / "run", ScoreOptions(threads=1))
    assert read_report(lossrank, tmp_path / "run")["worst"]["rows"] == []
    for form in ("html", "md"):
        result = lossrank("report", tmp_path / "run", "-o", tmp_path / f"report.{form}")
        assert result.exit_code == 0, result.output
        assert tells((tmp_path / f"report.{form}").read_text(), "no row has a prediction")


def test_where_no_row_matches_it_says_what_was_asked_for(
    tiny_bundle: ModelBundle, tmp_path: Path, lossrank: Lossrank
) -> None:
    pq.write_table(pa.table({"text": make_texts(20), "label": ["World"] * 20}), tmp_path / "news.parquet")
    score_dataset(tiny_bundle, tmp_path / "news.parquet", tmp_path / "run", ScoreOptions(threads=1))
    for form in ("html", "md"):
        result = lossrank("report", tmp_path / "run", "--pair", "Sports:Business", "-o", tmp_path / f"report.{form}")
        assert result.exit_code == 0, result.output
        content = (tmp_path / f"report.{form}").read_text()
        assert tells(content, "Sports:Business", "no row matches")
        assert not tells(content, "no row has a prediction")


def test_numbers_in_int8_are_said_to_be(tmp_path: Path, lossrank: Lossrank) -> None:
    run = make_run(tmp_path / "run", 1000, 1000)
    screen = {"rescored": 200, "top_k": 10, "estimated_recall": 0.987}
    run = altered(run, options={"precision": "screen", "screen_top": 10}, screen=screen, summary={"screen": screen})
    run.save()
    table = pq.read_table(run.shard_file(0))
    mixed = pa.array(["fp32"] * 200 + ["int8"] * 800)
    run.write_shard(0, table.set_column(table.schema.get_field_index("precision"), "precision", mixed), run.notes(0))
    document = read_report(lossrank, run.path, "--no-texts")
    assert (counts(document["int8_note"]), tells(document["int8_note"], "int8")) == ([800, 1000], True)
    ranked = lossrank("report", run.path, "--no-texts", "-o", tmp_path / "report.html")
    note = document["worst"]["precision_note"]
    assert (counts(note)[1:3], tells(note, "int8", "`screen_top`", "`precision='fp32'`")) == ([100, 10], True)
    assert counts(ranked.stderr)[1:3] == [100, 10]
    assert tells(ranked.stderr, "int8", "--screen-top", "--precision fp32")
    page = (tmp_path / "report.html").read_text()
    assert document["int8_note"] in page
    assert any(tells(line, 200, "fp32", 10, "98.7%") for line in page.splitlines())
    assert note in html.unescape(re.sub("</?code>", "`", page))


def test_every_status_has_its_words() -> None:
    assert all(map(status, STATUSES))


@pytest.mark.parametrize("enormous", [70.0, float("inf")])
def test_losses_beyond_any_scale_are_reported(tmp_path: Path, lossrank: Lossrank, enormous: float) -> None:
    run = make_run(tmp_path / "run", 100, 100)
    table = pq.read_table(run.shard_file(0))
    column = pa.array([enormous] * 100, pa.float32())
    run.write_shard(0, table.set_column(table.schema.get_field_index("loss"), "loss", column), run.notes(0))
    document = read_report(lossrank, run.path, "--no-texts")
    assert document["histogram"]["edges"][-1] is None
    for form in ("html", "md"):
        assert lossrank("report", run.path, "--no-texts", "-o", tmp_path / f"report.{form}").exit_code == 0
        assert "and more" in (tmp_path / f"report.{form}").read_text()


def test_control_characters_in_a_class_name_end_no_report(tmp_path: Path, lossrank: Lossrank) -> None:
    names = ("Wor\x1fld", "Sp\x00orts", "Business", "Sci/Tech\U0003ed2e")
    table = pa.table({"text": make_texts(40), "label": [names[i % 4] for i in range(40)]})
    score_dataset(make_bundle(tmp_path / "bundle", names), table, tmp_path / "run", ScoreOptions(threads=1))
    assert lossrank("report", tmp_path / "run", "-o", tmp_path / "report.html", "--no-texts").exit_code == 0
    assert "Wor\ufffdld" in (tmp_path / "report.html").read_text()


def test_of_many_classes_the_page_shows_the_most_confused(tmp_path: Path, lossrank: Lossrank) -> None:
    names = tuple(f"class {i:03d} with a long name" for i in range(150))
    bundle = make_bundle(tmp_path / "bundle", names)
    texts = make_texts(600)
    labels = [names[i * 7 % 150] for i in range(600)]
    pq.write_table(pa.table({"text": texts, "label": labels}), tmp_path / "news.parquet")
    score_dataset(bundle, tmp_path / "news.parquet", tmp_path / "run", ScoreOptions(threads=1))
    document = read_report(lossrank, tmp_path / "run")
    assert len(document["confusion"]) == len(document["classes"]) == 150
    assert len(document["most_confused"]) == 20
    assert lossrank("report", tmp_path / "run", "-o", tmp_path / "report.html").exit_code == 0
    page = (tmp_path / "report.html").read_text()
    assert any(tells(line, 20, "classes", 150) for line in page.splitlines())
    assert page.count('aria-roledescription="rect mark"') == 400
    assert len(page) < 1_000_000


def test_a_very_long_text_is_cut_on_the_page_and_whole_in_json(
    tiny_bundle: ModelBundle, tmp_path: Path, lossrank: Lossrank
) -> None:
    long = "w1 " * 10_000
    pq.write_table(pa.table({"text": [long, "w2"], "label": ["World", "Sports"]}), tmp_path / "news.parquet")
    score_dataset(tiny_bundle, tmp_path / "news.parquet", tmp_path / "run", ScoreOptions(threads=1))
    assert lossrank("report", tmp_path / "run", "-o", tmp_path / "report.html").exit_code == 0
    assert "25,000" in (tmp_path / "report.html").read_text()
    assert long not in (tmp_path / "report.html").read_text()
    texts = [row["source"]["text"] for row in read_report(lossrank, tmp_path / "run")["worst"]["rows"]]
    assert long in texts
