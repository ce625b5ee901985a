"""Data of `datasets` in memory: the rows that it shows, in its order, without a copy of what is not needed."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import scorer.data.hf_datasets as hub
from scorer import SourceError, open_source
from scorer.data.spec import TableSpec
from tests.scorer.data.source.helpers import (
    NAMES,
    TABLE,
    N,
    datasets,
    rows_of,
    save_to_disk,
    to_dataset,
    with_names,
    write_parquet,
)
from tests.support.facts import facts


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


class TestDataset:
    VIEWS: dict[str, Callable[[Any], Any]] = {  # noqa: RUF012
        "select": lambda data: data.select([9, 3, 3, 200]),
        "slice": lambda data: data.select(range(20, 60)),
        "shuffle": lambda data: data.shuffle(seed=1),
        "shuffle and select": lambda data: data.shuffle(seed=1).select(range(30)),
        "filter": lambda data: data.filter(lambda row: row["label"] == 2),
        "shard": lambda data: data.shuffle(seed=2).shard(7, 3),
        "concatenate": lambda data: datasets.concatenate_datasets([data.select(range(5)), data.select([7, 6])]),
        "split": lambda data: data.train_test_split(0.2, seed=3)["test"],
        "flatten_indices": lambda data: data.shuffle(seed=4).flatten_indices(),
    }

    @pytest.mark.parametrize("on_disk", [False, True])
    @pytest.mark.parametrize("view", VIEWS)
    def test_the_rows_that_it_shows(self, view: str, on_disk: bool, tmp_path: Path) -> None:
        data = self.VIEWS[view](datasets.load_from_disk(save_to_disk(tmp_path / "saved")) if on_disk else to_dataset())
        source = open_source(data)
        assert source.num_rows == len(data)
        assert rows_of(source) == [data[i] for i in range(len(data))]
        wanted = np.array([len(data) - 1, 0, len(data) // 2])
        assert source.take(wanted).to_pylist() == [data[int(i)] for i in wanted]
        assert source.label_names == {"label": NAMES}
        assert source.fingerprint == open_source(with_names(pa.Table.from_pylist(data.to_list()))).fingerprint
        assert source.spec == TableSpec()

    @pytest.mark.parametrize("view", VIEWS)
    def test_the_columns_keep_their_order(self, view: str) -> None:
        data = datasets.Dataset.from_dict({"text": list("ab") * 200, "label": [0, 2] * 200, "aa": [1, 2] * 200})
        assert open_source(self.VIEWS[view](data)).schema.names == ["text", "label", "aa"]

    def test_the_split_that_it_says_it_is(self, tmp_path: Path) -> None:
        write_parquet(tmp_path / "part.parquet")
        data = datasets.Dataset.from_parquet(
            str(tmp_path / "part.parquet"), split="test", cache_dir=str(tmp_path / "cache")
        )
        for same in (data, data.select(range(9)), datasets.DatasetDict({"a": data})["a"]):
            assert open_source(same).spec == TableSpec(split="test")
        assert open_source(datasets.DatasetDict({"train": to_dataset()})).spec == TableSpec(split="train")
        both = datasets.DatasetDict({"train": to_dataset(), "test": to_dataset()})
        assert open_source(both, split="test").spec == TableSpec(split="test")

    @pytest.mark.parametrize("kind", ["numpy", "arrow", "pandas", "python"])
    def test_a_format_shows_the_same_rows(self, kind: str) -> None:
        data = to_dataset().with_format(kind)
        assert rows_of(open_source(data)) == TABLE.to_pylist()
        assert data.format["type"] == (None if kind == "python" else kind)

    def test_a_format_may_hide_columns(self) -> None:
        source = open_source(to_dataset().with_format("numpy", columns=["label", "text"]))
        assert source.schema.names == ["label", "text"]
        assert source.label_names == {"label": NAMES}
        assert rows_of(source) == TABLE.select(["label", "text"]).to_pylist()
        all_columns = to_dataset().with_format("numpy", columns=["label"], output_all_columns=True)
        assert open_source(all_columns).schema.names == TABLE.column_names

    def test_a_format_that_hides_all_texts(self) -> None:
        with pytest.raises(SourceError, match=facts("text, note", "`ds.with_format(None)`")):
            open_source(to_dataset().with_format("numpy", columns=["label"]))

    @pytest.mark.parametrize("put", ["set_transform", "with_transform"])
    def test_a_transform_is_refused_until_it_is_applied(self, put: str) -> None:
        def louder(batch: dict[str, list[str]]) -> dict[str, list[str]]:
            return {"text": [text.upper() for text in batch["text"]]}

        data = to_dataset()
        changed = getattr(data, put)(louder) or data
        with pytest.raises(SourceError, match=facts("transform", "`ds.with_format(None)`", "map")):
            open_source(changed)
        applied = changed.with_format(None).map(louder, batched=True)
        assert rows_of(open_source(applied), columns=["text"])[0] == {"text": TABLE["text"][0].as_py().upper()}

    def test_a_transform_that_is_set_later_changes_nothing(self) -> None:
        data = to_dataset()
        source = open_source(data)
        data.set_transform(lambda batch: {})
        assert rows_of(source) == TABLE.to_pylist()

    @pytest.mark.parametrize("shuffled", [False, True])
    def test_only_the_needed_rows_are_read(self, shuffled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        data = datasets.Dataset.from_dict({"text": [f"row {i}" for i in range(30_000)]})
        data = data.shuffle(seed=1) if shuffled else data
        source = open_source(data)
        read: list[tuple[int, int]] = []
        original = datasets.arrow_dataset.query_table

        def spy(table: Any, key: Any, indices: Any) -> Any:
            if isinstance(key, slice):
                read.append((key.start, key.stop))
            return original(table, key, indices=indices)

        monkeypatch.setattr(datasets.arrow_dataset, "query_table", spy)
        wanted = np.array([29_999, 3, 15_000, 3])
        assert source.take(wanted)["text"].to_pylist() == [data.with_format(None)[int(i)]["text"] for i in wanted]
        assert sum(stop - start for start, stop in read) <= 3 * 64
        read.clear()
        assert len(rows_of(source, 10_000, 10_100)) == 100
        assert sum(stop - start for start, stop in read) <= 100 + 2 * 64

    def test_a_file_that_is_cut_off(self, tmp_path: Path) -> None:
        data = datasets.load_from_disk(save_to_disk(tmp_path / "saved"))
        source = open_source(data)

        class Broken:
            def __len__(self) -> int:
                return N

            def select_columns(self, columns: list[str]) -> "Broken":
                return self

            column_names = ()
            _indices = None

            def __getitem__(self, rows: slice) -> None:
                raise OSError("Expected to be able to read 96 bytes for message body, got 8")

        source.parts[0] = hub.DatasetPart("news", Broken())
        with pytest.raises(SourceError, match=facts("news", "datasets", "got 8")):
            rows_of(source)

    def test_names(self) -> None:
        assert open_source(to_dataset()).name == "Dataset"
        assert open_source(to_dataset(), name="mine").name == "mine"
        data = to_dataset()
        data.info.dataset_name, data.info.builder_name = "ag_news", "parquet"
        assert open_source(data).name == "ag_news"
        data.info.dataset_name = "parquet"
        assert open_source(data).name == "Dataset"

    def test_without_rows(self) -> None:
        for data in (to_dataset().select([]), datasets.Dataset.from_dict({})):
            with pytest.raises(SourceError, match=facts("Dataset is empty")):
                open_source(data)


class TestDatasetDict:
    def test_its_splits_are_named_if_none_is_picked(self) -> None:
        data = datasets.DatasetDict(train=to_dataset(), test=to_dataset().select(range(3)))
        for split in (None, "validation"):
            with pytest.raises(SourceError, match=facts("datasets.DatasetDict", "train, test", "`split`", repr(split))):
                open_source(data, split=split)
        assert open_source(data, split="test").num_rows == 3

    def test_the_only_split(self) -> None:
        assert open_source(datasets.DatasetDict(train=to_dataset())).num_rows == N
        with pytest.raises(SourceError, match=facts("train", "`split`", "'test'")):
            open_source(datasets.DatasetDict(train=to_dataset()), split="test")

    def test_of_streams(self) -> None:
        streams = datasets.IterableDatasetDict({name: to_dataset().to_iterable_dataset() for name in ("a", "b")})
        assert rows_of(open_source(streams, split="b")) == TABLE.to_pylist()

    def test_without_a_split(self) -> None:
        with pytest.raises(SourceError, match=facts("datasets.DatasetDict", "no splits")):
            open_source(datasets.DatasetDict())

    @pytest.mark.parametrize("keywords", [{"config": "x"}, {"streaming": True}, {"split": "test"}])
    def test_keywords_that_do_not_fit(self, keywords: dict[str, Any]) -> None:
        for data in (to_dataset(), to_dataset().to_iterable_dataset()):
            with pytest.raises(SourceError, match=facts(*keywords, "leave it out")):
                open_source(data, **keywords)


class TestIterableDataset:
    def test_the_same_data_as_the_dataset(self) -> None:
        stream = to_dataset().shuffle(seed=1).to_iterable_dataset(num_shards=4)
        source = open_source(stream)
        assert rows_of(source) == list(stream)
        assert source.label_names == {"label": NAMES}
        assert source.fingerprint == open_source(datasets.Dataset.from_list(list(stream), stream.features)).fingerprint
        assert "a first pass counted" in source.notes[0]

    def test_a_declared_number_of_rows_is_not_believed(self, tmp_path: Path) -> None:
        write_parquet(tmp_path / "a.parquet", with_names(TABLE))
        stream = datasets.load_dataset(str(tmp_path), split="train", streaming=True)
        assert open_source(stream.filter(lambda row: row["label"] == 1)).num_rows == len(range(1, N, 4))
        assert rows_of(open_source(stream.skip(5).take(10))) == TABLE.slice(5, 10).to_pylist()

    def test_pieces_with_nothing_but_nulls(self) -> None:
        table = pa.table({"text": [f"t{i}" for i in range(3000)], "note": [None] * 999 + ["x"] + [None] * 2000})
        stream = datasets.Dataset(table).to_iterable_dataset().filter(lambda row: row["text"].endswith(("1", "9")))
        source = open_source(stream)
        expected = table.filter(pc.match_substring_regex(table["text"], "[19]$"))
        assert rows_of(source) == expected.to_pylist()
        assert source.fingerprint == open_source(expected).fingerprint

    def test_without_features_and_with_other_columns(self) -> None:
        rows = [{"text": "a"}, {"text": "b", "label": 1}]
        stream = datasets.IterableDataset.from_generator(lambda: iter(rows * 1000))
        with pytest.raises(SourceError, match=facts("IterableDataset", "`features`")):
            open_source(stream)

    def test_more_rows_than_a_batch(self) -> None:
        stream = datasets.Dataset.from_dict({"text": [f"row {i}" for i in range(4200)]}).to_iterable_dataset()
        source = open_source(stream.shuffle(seed=1, buffer_size=100))
        expected = [row["text"] for row in stream.shuffle(seed=1, buffer_size=100)]
        assert [row["text"] for row in rows_of(source)] == expected
        wanted = np.array([4199, 4096, 0])
        assert source.take(wanted)["text"].to_pylist() == [expected[i] for i in wanted]

    def test_without_features(self) -> None:
        stream = datasets.IterableDataset.from_generator(lambda: ({"text": f"t{i}"} for i in range(5)))
        assert stream.features is None
        assert rows_of(open_source(stream)) == [{"text": f"t{i}"} for i in range(5)]

    def test_that_can_be_read_only_once(self) -> None:
        once = iter([{"text": "a"}, {"text": "b"}])
        stream = datasets.IterableDataset.from_generator(lambda: once)
        with pytest.raises(SourceError, match=facts("IterableDataset", "no rows the second time", "Dataset")):
            open_source(stream)

    def test_that_gives_other_rows_each_time(self) -> None:
        numbers = itertools.count()
        stream = datasets.IterableDataset.from_generator(lambda: ({"text": f"{next(numbers)}"} for _ in range(3)))
        with pytest.raises(SourceError, match=facts("other rows the second time")):
            open_source(stream)

    def test_that_changes_late(self) -> None:
        extra: list[dict[str, str]] = []
        rows = [{"text": f"t{i}"} for i in range(5000)]
        source = open_source(datasets.IterableDataset.from_generator(lambda: iter(rows + extra)))
        rows[4500] = {"text": "another"}
        with pytest.raises(SourceError, match=facts("other rows", "first pass")):
            rows_of(source)
        rows[4500] = {"text": "t4500"}
        assert len(rows_of(source)) == 5000
        extra += [{"text": "one more"}]
        with pytest.raises(SourceError, match=facts("first pass")):
            rows_of(source)
        del rows[4096:]
        extra.clear()
        with pytest.raises(SourceError, match=facts("4,096", "5,000", "first pass")):
            rows_of(source)

    def test_without_rows(self) -> None:
        with pytest.raises(SourceError, match=facts("empty")):
            open_source(to_dataset().to_iterable_dataset().filter(lambda row: False))
