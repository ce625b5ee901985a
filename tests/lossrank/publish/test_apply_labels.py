"""How corrected labels are spelled: as the data spell them, in their order, never in the model's."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click.testing
import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossrank.review.decision import KEPT
from scorer import ModelBundle, ScoreOptions, score_dataset
from tests.support.commands import Lossrank, error_line
from tests.support.facts import counts, tells
from tests.support.publishing import decide, with_features
from tests.support.tiny import make_bundle, make_texts

N = 40


@pytest.fixture
def corrected(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path
) -> Callable[..., tuple[pa.Table, click.testing.Result]]:
    """Score labels, decide, apply, and return the table that was written."""

    def make(
        labels: pa.Array, decisions: dict[int, str], *, names: tuple[str, ...] | None = None, **options: Any
    ) -> tuple[pa.Table, click.testing.Result]:
        table = pa.table({"text": make_texts(len(labels)), "label": labels})
        pq.write_table(with_features(table, label=names) if names else table, tmp_path / "news.parquet")
        bundle = options.pop("bundle", tiny_bundle)
        score_dataset(bundle, tmp_path / "news.parquet", tmp_path / "run", ScoreOptions(threads=1, **options))
        decide(tmp_path / "run", decisions)
        result = lossrank("apply", tmp_path / "run", "-o", tmp_path / "out.parquet")
        return pq.read_table(tmp_path / "out.parquet") if result.exit_code == 0 else table, result

    return make


def labels_of(*values: object, kind: pa.DataType | None = None) -> pa.Array:
    """Return N labels, these in turn."""
    return pa.array([values[i % len(values)] for i in range(N)], kind)


def test_class_labels_keep_the_numbers_and_the_order_of_the_data(corrected: Any, tmp_path: Path) -> None:
    names = ("Business", "Sci/Tech", "World", "Sports")  # the model has another order
    out, _ = corrected(labels_of(0, 1, 2, 3), {0: "World", 1: "Business", 2: KEPT, 3: "Sports"}, names=names)
    assert out["label"].to_pylist() == [2, 0, *(i % 4 for i in range(2, N))]
    loaded = datasets.Dataset.from_parquet(str(tmp_path / "out.parquet"), cache_dir=str(tmp_path / "cache"))
    assert loaded.features["label"].names == list(names)
    assert loaded.features["original_label"].names == list(names)
    assert loaded.features["label"].int2str(loaded[0]["label"]) == "World"


def test_a_class_that_the_data_never_use_has_the_number_of_its_name(corrected: Any) -> None:
    out, result = corrected(labels_of(0, 1), {0: "World"}, names=("Business", "Sci/Tech", "world", "Sports"))
    assert out["label"].to_pylist()[0] == 2
    assert "'World'" not in result.stderr


def test_names_that_are_numbers_are_not_taken_for_the_numbers_behind_them(corrected: Any, tmp_path: Path) -> None:
    stars = make_bundle(tmp_path / "stars", ("1", "2", "3", "4"))
    out, _ = corrected(labels_of(0, 1), {0: "4", 1: "1", 2: "3"}, names=("1", "2", "3", "4"), bundle=stars)
    assert out["label"].to_pylist()[:4] == [3, 0, 2, 1]


def test_a_class_that_the_data_do_not_know_is_added_to_their_names_as_the_last(corrected: Any, tmp_path: Path) -> None:
    out, result = corrected(labels_of(0, 1), {0: "World", 5: "World", 7: "Sports"}, names=("Business", "Sci/Tech"))
    assert [out["label"][row].as_py() for row in (0, 5, 7)] == [3, 3, 2]
    features = json.loads(out.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["label"]["names"] == ["Business", "Sci/Tech", "Sports", "World"]
    assert features["original_label"]["names"] == ["Business", "Sci/Tech"]
    assert (features["label"]["num_classes"], features["original_label"]["num_classes"]) == (4, 2)
    assert tells(result.stderr, "'World'", "'label'")


def test_text_labels_are_spelled_as_the_data_spell_them_most_often(corrected: Any) -> None:
    labels = labels_of("  world ", "WORLD", "WORLD", "sports")
    out, _ = corrected(labels, {3: "World", 7: "Business", 0: "Sports"})
    assert [out["label"][row].as_py() for row in (3, 7, 0)] == ["WORLD", "Business", "sports"]
    assert out["label"].to_pylist()[8] == "  world "
    assert out["original_label"].equals(pa.chunked_array([labels]))


def test_a_label_map_says_which_word_of_the_data_means_a_class(corrected: Any) -> None:
    words = {"W": "World", "S": "Sports", "B": "Business", "T": "Sci/Tech", "tech": "Sci/Tech"}
    out, _ = corrected(labels_of("W", "S", "B", "T", "tech"), {0: "Sci/Tech", 1: "World"}, label_map=words)
    assert out["label"].to_pylist()[:2] == ["T", "W"]
    assert set(out["label"].to_pylist()) == set(words)


@pytest.mark.parametrize("kind", [pa.int64(), pa.int8(), pa.uint8(), pa.float32(), pa.string(), pa.large_string()])
def test_bare_numbers_stay_numbers_also_for_a_class_that_no_row_has(corrected: Any, kind: pa.DataType) -> None:
    values = ("0", "1") if pa.types.is_string(kind) or pa.types.is_large_string(kind) else (0, 1)
    out, _ = corrected(labels_of(*values, kind=kind), {0: "Sci/Tech", 1: "World"})
    assert out["label"].type == out["original_label"].type == kind
    assert [str(value).removesuffix(".0") for value in out["label"].to_pylist()[:4]] == ["3", "0", "0", "1"]


def test_the_numbers_of_a_label_map_hold_also_for_a_class_that_no_row_has(corrected: Any) -> None:
    numbers = {"1": "World", "2": "Sports", "3": "Business", "4": "Sci/Tech"}
    out, _ = corrected(labels_of(1, 2), {0: "Sci/Tech", 1: "World"}, label_map=numbers)
    assert out["label"].to_pylist()[:4] == [4, 1, 1, 2]


def test_a_class_that_the_numbers_can_not_say_is_named_and_nothing_is_written(corrected: Any, tmp_path: Path) -> None:
    _, result = corrected(labels_of(1, 2), {0: "Sci/Tech"}, label_map={"1": "World", "2": "Sports"})
    said = error_line(result)
    assert tells(said, "'Sci/Tech'", "'label'", "int64", "label_map")
    assert not list(tmp_path.glob("*out*"))


def test_a_label_that_the_metadata_do_not_speak_of_has_the_type_that_datasets_knows(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    table = pa.table({"text": make_texts(N), "label": labels_of(0.0, 1.0)})
    features = {"info": {"features": {"text": {"dtype": "string", "_type": "Value"}}}}
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(features)}), tmp_path / "news.parquet")
    score_dataset(tiny_bundle, tmp_path / "news.parquet", tmp_path / "run", ScoreOptions(threads=1))
    decide(tmp_path / "run", {0: "Sports"})
    assert lossrank("apply", tmp_path / "run", "-o", tmp_path / "out").exit_code == 0
    loaded = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert (loaded[0]["label"], loaded[0]["original_label"]) == (1.0, 0.0)


def test_truth_values_stay_truth_values(corrected: Any, tmp_path: Path) -> None:
    two = make_bundle(tmp_path / "two", ("no", "yes"))
    out, _ = corrected(labels_of(False), {0: "yes"}, bundle=two)
    assert out["label"].type == pa.bool_()
    assert out["label"].to_pylist() == [True, *[False] * (N - 1)]


def test_truth_values_mean_what_the_label_map_says(corrected: Any, tmp_path: Path) -> None:
    two = make_bundle(tmp_path / "two", ("no", "yes"))
    out, _ = corrected(labels_of(False), {0: "no"}, bundle=two, label_map={"true": "no", "false": "yes"})
    assert out["label"].to_pylist() == [True, *[False] * (N - 1)]


def test_dictionary_labels_keep_their_type(corrected: Any) -> None:
    labels = labels_of("World", "Sports").dictionary_encode().cast(pa.dictionary(pa.int16(), pa.string()))
    out, _ = corrected(labels, {0: "Business", 1: "World"})
    assert out["label"].type == pa.dictionary(pa.int16(), pa.string())
    assert out["label"].to_pylist()[:4] == ["Business", "World", "World", "Sports"]
    assert out["original_label"].to_pylist()[:2] == ["World", "Sports"]


CATEGORIES = ("Sci/Tech", "Sports", "World", "Never")


@pytest.mark.parametrize("what", [KEPT, "World"])
def test_the_order_of_a_dictionary_stays_with_the_values_that_no_row_has(corrected: Any, what: str) -> None:
    codes = pa.array([(2, None, 1, 0)[i % 4] for i in range(N)], pa.int8())
    labels = pa.DictionaryArray.from_arrays(codes, pa.array(CATEGORIES), ordered=True)
    out, _ = corrected(labels, {3: what})
    for name in ("label", "original_label"):
        assert out[name].type == labels.type
        assert [chunk.dictionary.to_pylist() for chunk in out[name].chunks] == [list(CATEGORIES)]
    assert out["original_label"].chunk(0).indices.equals(codes)
    expected = codes.to_pylist()
    expected[3] = CATEGORIES.index("World") if what == "World" else expected[3]
    assert out["label"].chunk(0).indices.to_pylist() == expected


def test_a_class_that_a_dictionary_lacks_is_added_as_its_last(corrected: Any) -> None:
    words = pa.array([*CATEGORIES, *(f"unused {i}" for i in range(124))])  # as many as an int8 can number
    labels = pa.DictionaryArray.from_arrays(pa.array([2, 1] * (N // 2), pa.int8()), words)
    out, _ = corrected(labels, {3: "Business"})
    assert out["label"].chunk(0).dictionary.to_pylist() == [*words.to_pylist(), "Business"]
    assert out["label"].chunk(0).indices.to_pylist()[:4] == [2, 1, 2, 128]
    assert out["original_label"].type == labels.type
    assert out["original_label"].chunk(0).equals(labels)


def test_rows_without_a_label_and_with_one_that_is_not_known_can_be_relabelled(corrected: Any) -> None:
    labels = pa.array(["World"] * 30 + ["odd", None, *["Sports"] * 28])
    out, result = corrected(labels, {30: "Sports", 31: "World", 0: KEPT})
    assert out["label"].to_pylist()[30:32] == ["Sports", "World"]
    assert out["original_label"].to_pylist()[30:32] == ["odd", None]
    assert any(counts(line) == [1] and tells(line, "no label", "World") for line in result.stdout.splitlines())


def test_a_column_of_nothing_but_nulls_becomes_class_names(corrected: Any) -> None:
    out, _ = corrected(pa.nulls(N), {3: "Sports"})
    assert out["label"].to_pylist()[3] == "Sports"
    assert out["label"].null_count == N - 1


def test_the_class_that_a_row_has_already_is_no_change(corrected: Any) -> None:
    out, result = corrected(labels_of("World", "Sports"), {0: "World", 1: "World"})
    assert out["label_status"].to_pylist()[:2] == [KEPT, "relabelled"]
    assert any(tells(line, "1 relabelled", "1 kept") for line in result.stdout.splitlines())
