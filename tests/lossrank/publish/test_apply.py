"""apply: the whole data set, and nothing of it changed but what people decided."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossrank.publish.corrected import corrected_rows
from lossrank.review.decided_rows import decided_rows
from lossrank.review.decision import DISCARDED, KEPT, UNREVIEWED
from lossrank.review.store import DecisionStore
from scorer import ModelBundle, RunDirectory, ScoreOptions, open_source, score_dataset
from tests.support.commands import Lossrank, error_line
from tests.support.facts import tells
from tests.support.publishing import ANNOTATOR, decide, with_features
from tests.support.tiny import CLASSES, make_texts

CHANGES = {3: "World", 7: KEPT, 11: DISCARDED, 500: "Sci/Tech", 999: "Sports"}


@pytest.fixture
def labelled(rows: pa.Table) -> list[int]:
    return [int(label) for label in rows["label"].to_pylist()]


@pytest.fixture
def reviewed(run: Path) -> Path:
    """The scored rows, five of them decided of."""
    for file in run.glob("review.sqlite*"):
        file.unlink()
    decide(run, CHANGES)
    return run


def test_the_output_is_the_data_with_the_decided_labels_and_nothing_else_changed(
    lossrank: Lossrank, reviewed: Path, rows: pa.Table, labelled: list[int], tmp_path: Path
) -> None:
    result = lossrank("apply", reviewed, "-o", tmp_path / "out.parquet")
    assert result.exit_code == 0, result.output
    out = pq.read_table(tmp_path / "out.parquet")
    assert out.column_names == ["text", "label", "note", "original_label", "label_status"]
    assert out.select(["text", "note"]).equals(rows.select(["text", "note"]))
    assert out["original_label"].to_pylist() == labelled
    expected = {row: CLASSES.index(what) for row, what in CHANGES.items() if what in CLASSES}
    assert out["label"].to_pylist() == [expected.get(row, label) for row, label in enumerate(labelled)]
    status = {row: "relabelled" if what in CLASSES else what for row, what in CHANGES.items()}
    status |= {row: KEPT for row, label in expected.items() if labelled[row] == label}
    assert out["label_status"].to_pylist() == [status.get(row, UNREVIEWED) for row in range(1000)]
    assert out["label"].type == rows["label"].type
    assert tells(result.stdout, "1,000", tmp_path / "out.parquet")


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.integers(0, 999), st.sampled_from([*CLASSES, KEPT, DISCARDED]), min_size=1, max_size=60))
def test_whatever_is_decided_exactly_the_relabelled_rows_differ(
    reviewed_anew: Callable[[dict[int, str]], RunDirectory], rows: pa.Table, decisions: dict[int, str]
) -> None:
    run = reviewed_anew(decisions)
    made = corrected_rows(run, open_source(run.manifest.data.spec.data), decided_rows(run))
    out = pa.Table.from_batches(made.batches())
    for column in rows.column_names:
        if column != "label":
            assert out[column].equals(rows[column])
    assert out["original_label"].equals(rows["label"])
    before = rows["label"].to_pylist()
    changed = {i for i, (old, new) in enumerate(zip(before, out["label"].to_pylist(), strict=True)) if old != new}
    assert changed == {row for row, what in decisions.items() if what in CLASSES and CLASSES.index(what) != before[row]}
    assert changed == {i for i, status in enumerate(out["label_status"].to_pylist()) if status == "relabelled"}
    assert {i for i, status in enumerate(out["label_status"].to_pylist()) if status != UNREVIEWED} == set(decisions)


@pytest.fixture(scope="module")
def reviewed_anew(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[int, str]], RunDirectory]:
    """Give a copy of the run's manifest a store of its own with these decisions."""

    def make(decisions: dict[int, str]) -> RunDirectory:
        place = tmp_path_factory.mktemp("anew")
        (place / "run.json").write_bytes((run / "run.json").read_bytes())
        (place / "scores").symlink_to(run / "scores")
        decide(place, decisions)
        return RunDirectory.open(place)

    return make


def test_discarded_rows_are_left_out_where_that_is_asked(
    lossrank: Lossrank, reviewed: Path, rows: pa.Table, tmp_path: Path
) -> None:
    result = lossrank("apply", reviewed, "-o", tmp_path / "out.parquet", "--drop-discarded", "--json")
    assert json.loads(result.stdout)["written"] == 999
    out = pq.read_table(tmp_path / "out.parquet")
    assert out["note"].to_pylist() == [note for note in rows["note"].to_pylist() if note != "note 11"]
    assert DISCARDED not in out["label_status"].to_pylist()


def test_reviewers_are_columns_where_that_is_asked(lossrank: Lossrank, reviewed: Path, tmp_path: Path) -> None:
    lossrank("apply", reviewed, "-o", tmp_path / "out.parquet", "--reviewers")
    out = pq.read_table(tmp_path / "out.parquet")
    assert out.column_names[-3:] == ["label_annotator", "label_source", "label_decided_at"]
    by_row = out.slice(3, 1).to_pylist()[0]
    assert (by_row["label_annotator"], by_row["label_source"]) == (ANNOTATOR, "review")
    with DecisionStore(RunDirectory.open(reviewed)) as store:
        decision = store.get(3)
    assert decision is not None
    assert by_row["label_decided_at"] == datetime.fromisoformat(decision.decided_at)
    assert by_row["label_decided_at"].tzinfo is not None
    assert abs((datetime.now(UTC) - by_row["label_decided_at"]).total_seconds()) < 3600
    assert out["label_annotator"].null_count == 1000 - len(CHANGES)


def test_the_diff_file_has_just_the_changes_and_texts_only_where_they_are_asked_for(
    lossrank: Lossrank, reviewed: Path, rows: pa.Table, labelled: list[int], tmp_path: Path
) -> None:
    result = lossrank("apply", reviewed, "--diff", tmp_path / "changes.jsonl")
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in (tmp_path / "changes.jsonl").read_text().splitlines()]
    changed = sorted(r for r, what in CHANGES.items() if what == DISCARDED or what in CLASSES)
    changed = [row for row in changed if CHANGES[row] == DISCARDED or CLASSES.index(CHANGES[row]) != labelled[row]]
    assert [line["row"] for line in lines] == changed
    for line in lines:
        given_name = CLASSES[labelled[line["row"]]]
        assert line["original_label"] == given_name
        assert line["label"] == (given_name if line["status"] == DISCARDED else CHANGES[line["row"]])
        assert line["annotator"] == ANNOTATOR
        assert line["loss"] > 0
        assert line["predicted"] in CLASSES
        assert "text" not in line
    lossrank("apply", reviewed, "--diff", tmp_path / "changes.parquet", "--with-texts")
    table = pq.read_table(tmp_path / "changes.parquet")
    assert table["text"].to_pylist() == [rows["text"][row].as_py() for row in changed]


@pytest.mark.parametrize(
    "metadata", ["[]", "not json", '{"info": {"features": []}}', '{"info": {"features": {"text": 1}}}']
)
def test_metadata_of_another_form_than_datasets_writes_disturb_nothing(
    lossrank: Lossrank, tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path, metadata: str
) -> None:
    pq.write_table(rows.replace_schema_metadata({"huggingface": metadata}), tmp_path / "news.parquet")
    score_dataset(tiny_bundle, tmp_path / "news.parquet", tmp_path / "run", ScoreOptions(threads=1))
    decide(tmp_path / "run", {3: "World"})
    assert lossrank("apply", tmp_path / "run", "-o", tmp_path / "out").exit_code == 0
    out = pq.read_table(tmp_path / "out" / "data" / "train-00000-of-00001.parquet")
    assert out["text"].equals(rows["text"])


def test_a_run_nobody_has_reviewed_is_refused_and_stays_without_a_store(
    lossrank: Lossrank, run: Path, tmp_path: Path
) -> None:
    for file in run.glob("review.sqlite*"):
        file.unlink()
    said = error_line(lossrank("apply", run, "-o", tmp_path / "out"))
    assert tells(said, run, "lossrank review")
    assert not (run / "review.sqlite").exists()
    assert not (tmp_path / "out").exists()


def test_data_that_changed_are_refused_and_moved_data_are_found(
    lossrank: Lossrank, tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
) -> None:
    file, moved = tmp_path / "news.parquet", tmp_path / "elsewhere.parquet"
    pq.write_table(rows, file)
    run = tmp_path / "run"
    score_dataset(tiny_bundle, file, run, ScoreOptions(threads=1))
    decide(run, {3: KEPT})
    file.rename(moved)
    pq.write_table(rows.slice(1), file)
    said = error_line(lossrank("apply", run, "-o", tmp_path / "out"))
    assert tells(said, "news.parquet", "changed")
    assert not (tmp_path / "out").exists()
    result = lossrank("apply", run, "-o", tmp_path / "out", "--data", moved)
    assert result.exit_code == 0, result.output


def test_an_output_that_is_audited_again_gets_columns_with_a_number(
    lossrank: Lossrank, tiny_bundle: ModelBundle, reviewed: Path, tmp_path: Path
) -> None:
    lossrank("apply", reviewed, "-o", tmp_path / "first.parquet")
    for before, after, number in (("first", "second", 2), ("second", "third", 3)):
        run = tmp_path / f"run-{before}"
        score_dataset(tiny_bundle, tmp_path / f"{before}.parquet", run, ScoreOptions(threads=1))
        decide(run, {5: KEPT, 6: "World"})
        result = lossrank("apply", run, "-o", tmp_path / f"{after}.parquet")
        assert tells(result.stderr, "label_status", f"original_label_{number}", f"label_status_{number}")
    out = pq.read_table(tmp_path / "third.parquet")
    assert out.column_names[3:] == [
        f"{name}{n}" for n in ("", "_2", "_3") for name in ("original_label", "label_status")
    ]
    assert out["label_status"].to_pylist()[11] == DISCARDED
    assert out["label_status_3"].to_pylist()[11] == UNREVIEWED


def test_data_without_labels_get_a_label_column_of_class_names(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    pq.write_table(pa.table({"text": make_texts(20)}), tmp_path / "news.parquet")
    score_dataset(tiny_bundle, tmp_path / "news.parquet", tmp_path / "run", ScoreOptions(threads=1))
    decide(tmp_path / "run", {2: "Sports", 4: DISCARDED})
    assert lossrank("apply", tmp_path / "run", "-o", tmp_path / "out.parquet").exit_code == 0
    out = pq.read_table(tmp_path / "out.parquet")
    assert out.column_names == ["text", "label", "label_status"]
    assert out["label"].to_pylist() == [None, None, "Sports", *[None] * 17]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], ["-o"]),
        (["-o", "x.parquet", "--format", "save_to_disk"], ["--format", "save_to_disk", "-o"]),
        (["-o", "x.parquet", "--push-to-hub", "me/x"], ["--push-to-hub", "-o"]),
        (["-o", "x", "--private"], ["--private", "--push-to-hub"]),
        (["-o", "x", "--with-texts"], ["--with-texts", "--diff"]),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(
    lossrank: Lossrank, run: Path, arguments: list[str], named: list[str]
) -> None:
    result = lossrank("apply", run, *arguments)
    assert result.exit_code == 2
    assert tells(result.stderr, *named)


def test_the_metadata_of_other_tools_and_the_field_types_stay(
    lossrank: Lossrank, tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
) -> None:
    table = with_features(rows.set_column(1, "label", rows["label"].cast(pa.int8())), label=CLASSES)
    metadata = {**table.schema.metadata, b"mine": b"kept"}
    table = table.replace_schema_metadata(metadata).append_column("at", pa.array([datetime(2020, 1, 1)] * 1000))
    pq.write_table(table, tmp_path / "news.parquet")
    score_dataset(tiny_bundle, tmp_path / "news.parquet", tmp_path / "run", ScoreOptions(threads=1))
    decide(tmp_path / "run", {3: "World", 4: "Sports"})
    assert lossrank("apply", tmp_path / "run", "-o", tmp_path / "out.parquet").exit_code == 0
    out = pq.read_table(tmp_path / "out.parquet")
    assert out.schema.metadata[b"mine"] == b"kept"
    assert out.drop_columns(["label", "original_label", "label_status"]).equals(table.drop_columns(["label"]))
    assert out["label"].type == out["original_label"].type == pa.int8()
    features = json.loads(out.schema.metadata[b"huggingface"])["info"]["features"]
    assert (
        features["label"]
        == features["original_label"]
        == {
            "num_classes": 4,
            "names": list(CLASSES),
            "_type": "ClassLabel",
        }
    )
    assert features["label_status"] == {"dtype": "string", "_type": "Value"}
