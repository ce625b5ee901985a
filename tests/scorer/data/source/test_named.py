"""source: the same rows in the same order from every kind of data, and data that changed is noticed."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import SourceError, open_source
from scorer.run.reopened import reopen_data
from tests.scorer.data.source.helpers import (
    NAMES,
    TABLE,
    N,
    datasets,
    rows_of,
    save_dict,
    save_to_disk,
    to_dataset,
    with_names,
    write_arrow,
    write_parquet,
)
from tests.support.facts import facts
from tests.support.manifests import run_of


class TestClassNames:
    def test_from_parquet_arrow_and_tables(self, tmp_path: Path) -> None:
        table = with_names(TABLE)
        paths = [
            write_parquet(tmp_path / "a.parquet", table),
            write_arrow(tmp_path / "b.arrow", table),
            write_arrow(tmp_path / "c.arrow", table, stream=True),
        ]
        for data in (*paths, table):
            assert open_source(data).label_names == {"label": NAMES}

    def test_as_datasets_writes_parquet(self, tmp_path: Path) -> None:
        to_dataset().to_parquet(tmp_path / "a.parquet")
        assert open_source(tmp_path / "a.parquet").label_names == {"label": NAMES}

    @pytest.mark.parametrize(
        "metadata",
        [
            {},
            {"huggingface": "{"},
            {"huggingface": "[]"},
            {"huggingface": '{"info": null}'},
            {"huggingface": '{"info": {"features": [1]}}'},
            {"huggingface": '{"info": {"features": {"label": [{"_type": "ClassLabel"}, {"names": ["a"]}]}}}'},
            {"huggingface": '{"info": {"features": {"label": {"_type": "ClassLabel", "num_classes": 3}}}}'},
            {"huggingface": '{"info": {"features": {"label": {"_type": "Value", "dtype": "int64"}}}}'},
            {"huggingface": '{"info": {"features": {"gone": {"_type": "ClassLabel", "names": ["a", "b"]}}}}'},
        ],
    )
    def test_none_in_other_metadata(self, metadata: dict[str, str]) -> None:
        assert open_source(TABLE.replace_schema_metadata(metadata)).label_names == {}


class TestSavedFolders:
    def test_a_split_must_be_picked(self, tmp_path: Path) -> None:
        folder = save_dict(tmp_path / "saved")
        for split in (None, "validation"):
            with pytest.raises(
                SourceError, match=facts("/saved has the splits train, test", "`split`", f"got {split!r}")
            ):
                open_source(folder, split=split)

    def test_a_shuffled_data_set_is_saved_in_its_new_order(self, tmp_path: Path) -> None:
        shuffled = to_dataset().shuffle(seed=3)
        shuffled.save_to_disk(tmp_path / "saved")
        assert [row["text"] for row in rows_of(open_source(tmp_path / "saved"))] == shuffled["text"][:]

    def test_more_than_nine_shards_keep_their_order(self, tmp_path: Path) -> None:
        to_dataset().save_to_disk(tmp_path / "saved", num_shards=12)
        assert rows_of(open_source(tmp_path / "saved")) == TABLE.to_pylist()

    @pytest.mark.parametrize("name", ["state.json", "dataset_dict.json"])
    @pytest.mark.parametrize("content", ["", "{", "{}", "[]", '{"splits": 1}', '{"_data_files": [1]}'])
    def test_damaged(self, tmp_path: Path, name: str, content: str) -> None:
        folder = save_dict(tmp_path / "saved")
        ((folder / name) if name == "dataset_dict.json" else (folder / "test" / name)).write_text(content)
        with pytest.raises(SourceError, match=facts("damaged", "save_to_disk")):
            open_source(folder, split="test")

    @pytest.mark.parametrize(
        ("files", "said"),
        [
            ("[]", r"is empty: its state\.json lists no file"),
            ('[{"filename": "a.doc"}]', r"a\.doc is of no known kind"),
        ],
    )
    def test_without_a_file_that_can_be_read(self, tmp_path: Path, files: str, said: str) -> None:
        (tmp_path / "state.json").write_text(f'{{"_data_files": {files}}}')
        with pytest.raises(SourceError, match=said):
            open_source(tmp_path)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        folder = save_to_disk(tmp_path / "saved")
        (folder / "data-00001-of-00003.arrow").unlink()
        with pytest.raises(SourceError, match=facts("data-00001-of-00003.arrow", "does not exist", "saved")):
            open_source(folder)


class TestByName:
    @pytest.fixture
    def hub(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """A hub with one data set, whatever is put at "data"; "asked" holds the calls."""
        hub: dict[str, Any] = {"data": to_dataset(), "asked": []}

        def load_dataset(name: str, config: str | None, *, split: str) -> Any:
            hub["asked"].append((name, config, split))
            return hub["data"]

        monkeypatch.setattr(datasets, "load_dataset", load_dataset)
        return hub

    def test_rows_and_class_names(self, hub: dict[str, Any]) -> None:
        source = open_source("ag_news", config="default", split="test")
        assert hub["asked"] == [("ag_news", "default", "test")]
        assert rows_of(source) == TABLE.to_pylist()
        assert source.label_names == {"label": NAMES}
        assert source.name == "ag_news"
        assert source.take(np.array([200, 3])).to_pylist() == TABLE.take([200, 3]).to_pylist()

    @pytest.mark.parametrize(
        "pick",
        [
            lambda data: data.select([9, 3, 3, 200]),  # by an indices mapping
            lambda data: data.select(range(20, 60)),  # by a slice
            lambda data: data.shuffle(seed=1),
            lambda data: data.shuffle(seed=1).select(range(30)),
            lambda data: data.filter(lambda row: row["label"] == 2),
            lambda data: datasets.concatenate_datasets([data.select(range(5)), data.select([7, 6])]),
            lambda data: data.with_format("numpy", columns=["label"]),
        ],
    )
    def test_the_rows_that_the_data_set_shows(self, hub: dict[str, Any], pick: Callable[[Any], Any]) -> None:
        hub["data"] = pick(to_dataset())
        expected = [dict(row) for row in hub["data"].with_format(None)]
        source = open_source("ag_news", split="test")
        assert source.num_rows == len(expected)
        assert rows_of(source) == expected
        assert source.label_names == {"label": NAMES}

    def test_reopened_by_name(self, hub: dict[str, Any]) -> None:
        source = open_source("user/data", config="x", split="train")
        assert rows_of(reopen_data(run_of(source))) == TABLE.to_pylist()
        assert hub["asked"] == [("user/data", "x", "train")] * 2
        hub["data"] = to_dataset(TABLE.slice(0, N - 1))
        with pytest.raises(SourceError, match=facts("user/data", "has changed")):
            reopen_data(run_of(source))

    def test_a_split_is_needed(self, hub: dict[str, Any]) -> None:
        with pytest.raises(SourceError, match=facts("ag_news is loaded by name", "`split='test'`")):
            open_source("ag_news")
        assert hub["asked"] == []

    def test_what_the_library_says_is_passed_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def load_dataset(*args: object, **kwargs: object) -> None:
            raise ValueError("Unknown split 'tset'. Should be one of ['train', 'test'].\nmore lines")

        monkeypatch.setattr(datasets, "load_dataset", load_dataset)
        with pytest.raises(
            SourceError, match=r"ag_news is no file or folder here, and .*\(Unknown split 'tset'\. .*'test'\]\.\)$"
        ):
            open_source("ag_news", split="tset")

    def test_without_the_library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "datasets", None)
        with pytest.raises(SourceError, match=facts("ag_news", "pip install 'lossrank[datasets]'")):
            open_source("ag_news", split="test")

    def test_columns_of_extension_types(self, hub: dict[str, Any]) -> None:
        features = datasets.Features({"text": datasets.Value("string"), "grid": datasets.Array2D((2, 2), "int32")})
        grids = [[[i, 1], [2, 3]] for i in range(5)]
        hub["data"] = datasets.Dataset.from_dict({"text": list("abcde"), "grid": grids}, features=features)
        source = open_source("grids", split="test")
        assert [row["text"] for row in rows_of(source, columns=["text"])] == list("abcde")
        assert source.take(np.array([4, 1]))["text"].to_pylist() == ["e", "b"]


def test_a_split_of_what_has_none_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["w1"]}), tmp_path / "train-0.parquet")
    for data in (tmp_path / "train-0.parquet", tmp_path / "*.parquet"):
        with pytest.raises(SourceError, match=facts("`split='test'`", "'FOLDER/test-*.parquet'")):
            open_source(str(data), split="test")


def test_a_configuration_of_what_is_here_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["w1"]}), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match=facts("`config='nonsense'`", "name of a data set")):
        open_source(str(tmp_path / "a.parquet"), config="nonsense")
