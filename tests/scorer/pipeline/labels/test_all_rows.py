"""score(): labels are judged on all rows before the first is scored, and their order on predictions as they come."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from lossrank import write_label_map
from lossrank.publish.survey import survey
from scorer import LabelError, ModelBundle, RunDirectory, RunError, ScoreOptions, score_dataset
from scorer.data.hf_datasets import StreamPart
from scorer.data.labels.counts import is_countable
from scorer.data.labels.suggest import read_label_map
from scorer.data.opening.open import open_source
from scorer.run.reopened import reopen_data
from tests.support import SHARED
from tests.support.facts import facts
from tests.support.publishing import with_features
from tests.support.tiny import CLASSES, expected_logits, make_bundle, make_texts, weights

OPTIONS = ScoreOptions(batch_tokens=300, shard_rows=600, window_rows=100, threads=1)
TWO = ("NEGATIVE", "POSITIVE")
TEXTS = make_texts(1000)
PREDICTED = np.stack([expected_logits(text) for text in TEXTS]).argmax(axis=1)


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """A model of two classes, which says POSITIVE to half of the words."""
    table = np.zeros_like(weights(2))
    table[4::2, 1] = table[5::2, 0] = 4.0
    return make_bundle(tmp_path_factory.mktemp("binary") / "bundle", TWO, table)


def sorted_rows(first: object, second: object, n: int = 1500) -> pa.Table:
    """Return rows of two classes, sorted by class: the first are those that ``binary`` calls NEGATIVE."""
    texts = [f"w{1 + 2 * (i % 30)}" for i in range(n)] + [f"w{2 * (i % 30)}" for i in range(n)]
    return pa.table({"text": texts, "label": [first] * n + [second] * n})


def labels_of(run: Path) -> list[int | None]:
    return pq.read_table(run / "scores")["label"].to_pylist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        ("NEGATIVE", "pos", "no class for 1,500 of 3,000 labels: 'pos'"),
        (0, 4, "no class for 1,500 of 3,000 labels: '4'"),
        (1, 2, "seem to count from 1"),
        (-1, 1, "-1 may be a class or mean no label"),
    ],
)
@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl", "table"])
def test_what_the_first_window_does_not_show(
    binary: ModelBundle, tmp_path: Path, first: object, second: object, what: str, kind: str
) -> None:
    table = sorted_rows(first, second)
    data: Any = tmp_path / f"data.{kind}"
    if kind == "parquet":
        pq.write_table(table, data)
    elif kind == "csv":
        pa.csv.write_csv(table, data)
    elif kind == "jsonl":
        data.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        data = table
    with pytest.raises(LabelError) as caught:
        score_dataset(binary, data, tmp_path / "run", OPTIONS)
    assert what in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_map_gives_each_row_its_class(binary: ModelBundle, tmp_path: Path) -> None:
    mapping = {"1": "NEGATIVE", "2": "POSITIVE"}
    options = ScoreOptions(shard_rows=600, threads=1, label_map=mapping)
    stats = score_dataset(binary, sorted_rows(1, 2), tmp_path / "run", options)
    assert (stats.by_status, stats.accuracy) == ({"ok": 3000}, 1.0)
    assert labels_of(tmp_path / "run") == [0] * 1500 + [1] * 1500
    left = ScoreOptions(shard_rows=600, threads=1, label_map={"1": "NEGATIVE"})
    with pytest.raises(LabelError, match=facts("not mention 1 label", "1,500 rows: '2'")):
        score_dataset(binary, sorted_rows(1, 2), tmp_path / "left", left)


def test_sorted_classes_in_the_other_order_stop_at_the_second_class(binary: ModelBundle, tmp_path: Path) -> None:
    swapped = sorted_rows(1, 0)
    messages = []
    for _ in range(2):  # the second time, the first two shards are kept
        with pytest.raises(LabelError, match=facts("another order", "0 -> 1 'POSITIVE', 1 -> 0 'NEGATIVE'")) as caught:
            score_dataset(binary, swapped, tmp_path / "run", OPTIONS)
        messages.append(str(caught.value))
        kept = sorted(file.name for file in (tmp_path / "run" / "scores").glob("part-*"))
        assert kept == ["part-00000.parquet", "part-00001.parquet"]
    assert messages[0] == messages[1]
    assert 'this map would fit: {"0": "POSITIVE", "1": "NEGATIVE"}' in messages[0]
    assert score_dataset(binary, sorted_rows(0, 1), tmp_path / "right", OPTIONS).accuracy == 1.0


def test_minus_one_beside_all_classes_is_no_label(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    table = pa.table({"text": TEXTS, "label": [-1 if i % 3 == 0 else int(PREDICTED[i]) for i in range(1000)]})
    stats = score_dataset(tiny_bundle, table, tmp_path / "run", OPTIONS)
    assert stats.by_status == {"ok": 666, "no_label": 334}
    assert labels_of(tmp_path / "run")[:4] == [None, PREDICTED[1], PREDICTED[2], None]


def test_a_label_that_means_none_is_recorded_and_asked_for_again(binary: ModelBundle, tmp_path: Path) -> None:
    table = sorted_rows(-1, 1)
    options = ScoreOptions(shard_rows=600, threads=1, no_label_value="-1")
    stats = score_dataset(binary, table, tmp_path / "run", options)
    assert (stats.by_status, stats.accuracy) == ({"no_label": 1500, "ok": 1500}, 1.0)
    labels = RunDirectory.open(tmp_path / "run").manifest.labels
    assert labels is not None
    assert labels.map == {"negative": 0, "positive": 1, "-1": -1}
    assert score_dataset(binary, table, tmp_path / "run", options).kept_rows == 3000
    with pytest.raises(LabelError, match="`no_label_value='-1'`"):
        score_dataset(binary, table, tmp_path / "run", ScoreOptions(shard_rows=600, threads=1))
    words = pa.table({"text": TEXTS[:3], "label": ["?", "World", "Sports"]})
    stats = score_dataset(binary_of_news(tmp_path), words, tmp_path / "words", ScoreOptions(no_label_value="?"))
    assert stats.by_status == {"no_label": 1, "ok": 2}


def binary_of_news(tmp_path: Path) -> ModelBundle:
    return make_bundle(tmp_path / "news", CLASSES)


@pytest.mark.parametrize("kind", ["table", "jsonl"])
def test_lists_of_one_label_are_the_label(tiny_bundle: ModelBundle, tmp_path: Path, kind: str) -> None:
    labels: list[list[str] | None] = [[CLASSES[i % 4]] for i in range(98)]
    table = pa.table({"text": TEXTS[:100], "label": [*labels, [], None]})
    data: Any = table
    if kind == "jsonl":
        data = tmp_path / "data.jsonl"
        data.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    stats = score_dataset(tiny_bundle, data, tmp_path / "run", OPTIONS)
    assert stats.by_status == {"ok": 98, "no_label": 2}
    assert labels_of(tmp_path / "run") == [*(i % 4 for i in range(98)), None, None]
    run = RunDirectory.open(tmp_path / "run")
    plain = table.set_column(1, "label", pa.array([*(values[0] if values else None for values in labels), None, None]))
    for same in (table, plain):  # the same rows, whichever way they are written
        assert reopen_data(run, same).num_rows == 100
    spellings = survey(run, open_source(data)).spellings
    assert spellings == {i: {CLASSES[i]: labels.count([CLASSES[i]])} for i in range(4)}


def test_a_row_with_two_labels_stops_the_run(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    table = pa.table({"text": TEXTS[:90], "label": [["World"]] * 89 + [["World", "Sports"]]})
    with pytest.raises(LabelError, match=r"row 89, counted from 0, has 2 labels in column 'label' \('World', 'Sports"):
        score_dataset(tiny_bundle, table, tmp_path / "run", OPTIONS)


def test_data_whose_labels_are_called_otherwise_ask_for_them(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    table = pa.table({"text": TEXTS[:100], "desk": [CLASSES[i % 4] for i in range(100)]})
    ask = facts("'desk'", "are the model's classes", "`label_column`", "`no_label=True`")
    with pytest.raises(LabelError, match=ask):
        score_dataset(tiny_bundle, table, tmp_path / "run", OPTIONS)
    two = table.append_column("second", table["desk"])
    with pytest.raises(LabelError, match=facts("'desk', 'second'")):
        score_dataset(tiny_bundle, two, tmp_path / "run", OPTIONS)
    named = score_dataset(tiny_bundle, table, tmp_path / "named", ScoreOptions(label_column="desk"))
    assert named.by_status == {"ok": 100}
    none = score_dataset(tiny_bundle, table, tmp_path / "none", ScoreOptions(no_label=True))
    assert none.by_status == {"no_label": 100}
    found = table.rename_columns(["text", "label"])
    assert score_dataset(tiny_bundle, found, tmp_path / "left", ScoreOptions(no_label=True)).by_status == {
        "no_label": 100
    }


@pytest.mark.parametrize(
    "other", [{"label_column": "label"}, {"label_map": {"a": "World"}}, {"no_label_value": "-1"}], ids=str
)
def test_no_label_with_labels_is_a_contradiction(other: dict[str, Any]) -> None:
    with pytest.raises(RunError, match=f"`no_label=True` leaves the labels out, but `{next(iter(other))}` is given"):
        ScoreOptions(no_label=True, **other)


@pytest.mark.parametrize("option", [{"label_map": {"a": "World"}}, {"no_label_value": "-1"}], ids=str)
def test_options_about_labels_need_labels(tiny_bundle: ModelBundle, tmp_path: Path, option: dict[str, Any]) -> None:
    with pytest.raises(RunError, match=facts(f"`{next(iter(option))}`", "no label", "`label_column`")):
        score_dataset(tiny_bundle, pa.table({"text": TEXTS[:3]}), tmp_path / "run", ScoreOptions(**option))


def test_a_text_taken_for_the_label_is_told(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    table = pa.table({"text": [f"w{i % 60}" for i in range(20_100)], "label": [f"a title {i}" for i in range(20_100)]})
    with pytest.raises(LabelError, match=facts("'label'", "different values", "`label_column`", "`no_label=True`")):
        score_dataset(tiny_bundle, table, tmp_path / "run", OPTIONS)


class TestStreams:
    """A stream of the hub is not downloaded twice: its first labels are checked before their window is scored."""

    @pytest.fixture(autouse=True)
    def _one_pass(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("scorer.pipeline.plan.is_countable", lambda source: False)

    def test_which_are_read_once(self) -> None:
        remote, local = StreamPart("hub", None, 3, {}), StreamPart("folder", None, 3, {"a.parquet": 1.0})
        counted = StreamPart("stream", None, 3, {}, digests=(b"1",))
        source = open_source(pa.table({"text": ["w1"], "label": [0]}))
        for part, expected in ((remote, False), (local, True), (counted, True), (source.parts[0], True)):
            assert is_countable(replace(source, parts=[part])) is expected

    def test_the_first_labels_are_checked_wherever_they_begin(self, tiny_bundle: ModelBundle, tmp_path: Path) -> None:
        table = pa.table({"text": TEXTS[:300], "label": [None] * 250 + ["Cats"] * 50})
        options = ScoreOptions(batch_tokens=300, shard_rows=100, threads=1)
        for _ in range(3):
            with pytest.raises(LabelError, match="no class for 50 of 50 labels: 'Cats'"):
                score_dataset(tiny_bundle, table, tmp_path / "run", options)
        assert len(list((tmp_path / "run" / "scores").iterdir())) == 2

    def test_labels_of_later_windows_are_only_counted(self, tiny_bundle: ModelBundle, tmp_path: Path) -> None:
        table = pa.table({"text": TEXTS[:300], "label": ["World"] * 250 + ["Cats"] * 50})
        options = ScoreOptions(batch_tokens=300, shard_rows=100, threads=1)
        assert score_dataset(tiny_bundle, table, tmp_path / "run", options).unknown_labels == {"Cats": 50}
        shift = pa.table({"text": TEXTS[:300], "label": [1, 2, 3, 4] * 75})
        with pytest.raises(LabelError, match="seem to count from 1"):
            score_dataset(tiny_bundle, shift, tmp_path / "shift", options)


class TestRealData:
    """Sorted by class, as such data often are; skipped where the files are missing."""

    def test_banking77(self, tmp_path: Path) -> None:
        file = SHARED / "data" / "intents_train.csv"
        if not file.exists():
            pytest.skip(f"{file} is missing")
        table = pa.csv.read_csv(file)
        label = next(name for name in table.column_names if name != "text")
        table = table.sort_by(label)
        names = tuple(sorted(set(table[label].to_pylist())))
        assert len(names) == 77
        bundle = make_bundle(tmp_path / "bundle", names)
        stats = score_dataset(bundle, table, tmp_path / "run", ScoreOptions(threads=1, label_column=label))
        assert stats.by_status == {"ok": len(table)}
        assert labels_of(tmp_path / "run") == [names.index(name) for name in table[label].to_pylist()]
        upper = make_bundle(tmp_path / "upper", tuple(name.upper().replace("_", " ") for name in names))
        with pytest.raises(LabelError) as caught:
            score_dataset(upper, table, tmp_path / "other", ScoreOptions(threads=1, label_column=label))
        assert "`write_label_map` writes a file to fill in" in str(caught.value)
        made = write_label_map(upper, table, tmp_path / "map.json", label_column=label)
        assert made.open_labels == []
        assert set(made.mapping) == set(names)
        options = ScoreOptions(threads=1, label_column=label, label_map=read_label_map(tmp_path / "map.json"))
        assert score_dataset(upper, table, tmp_path / "mapped", options).by_status == {"ok": len(table)}
        assert labels_of(tmp_path / "mapped") == labels_of(tmp_path / "run")


def test_a_run_of_an_older_version_goes_on(tmp_path: Path) -> None:
    """Older versions recorded names as they were written, and not that -1 is no label of a ClassLabel."""
    names = ("Qualit\u00e9", "Prix")
    bundle = make_bundle(tmp_path / "bundle", names)
    table = with_features(pa.table({"text": TEXTS[:4], "label": [0, 1, 1, -1]}), label=names)
    score_dataset(bundle, table, tmp_path / "run", ScoreOptions(threads=1))
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    assert manifest["labels"]["map"] == {"qualit\u00e9": 0, "prix": 1, "0": 0, "1": 1, "-1": -1}
    manifest["labels"]["map"] = {"qualite\u0301": 0, "prix": 1, "0": 0, "1": 1}
    (tmp_path / "run" / "run.json").write_text(json.dumps(manifest))
    assert score_dataset(bundle, table, tmp_path / "run", ScoreOptions(threads=1)).kept_rows == 4
    manifest["labels"]["map"]["0"] = 1
    (tmp_path / "run" / "run.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match=facts("another run", "labels map '0' is 1 in the run, 0 now")):
        score_dataset(bundle, table, tmp_path / "run", ScoreOptions(threads=1))
