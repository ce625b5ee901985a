"""score_dataset() of data in memory: every row has its own loss, as if its rows were in a Parquet file."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import datasets
import numpy as np
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer import ModelBundle, Progress, RunDirectory, open_source, score_dataset
from tests.scorer.pipeline.score.helpers import SMALL, scores
from tests.support import short_and_long
from tests.support.tiny import CLASSES, expected_loss, make_texts

N = 40
# Their order is not the model's: a number is right only if the names are used.
NAMES = tuple(reversed(CLASSES))
TEXTS = make_texts(N, seed=5)
LABELS = np.random.default_rng(6).integers(0, 4, size=N).tolist()
FEATURES = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(NAMES))})
ROWS = [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)]
NAMED = [{"text": row["text"], "label": NAMES[row["label"]]} for row in ROWS]


def to_dataset() -> Any:
    return datasets.Dataset.from_list(ROWS, features=FEATURES)


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


KINDS: dict[str, Callable[[], Any]] = {
    "Dataset": to_dataset,
    "DatasetDict": lambda: datasets.DatasetDict(train=to_dataset()),
    "IterableDataset": lambda: to_dataset().to_iterable_dataset(num_shards=3),
    "DataFrame": lambda: pandas.DataFrame(NAMED, index=range(N, 0, -1)),
    "DataFrame of categories": lambda: pandas.DataFrame(NAMED).astype({"label": "category"}),
    "polars": lambda: polars.DataFrame(NAMED),
    "list of dicts": lambda: NAMED,
    "Table": lambda: pa.Table.from_pylist(NAMED),
    "RecordBatch": lambda: pa.RecordBatch.from_pylist(NAMED),
    "RecordBatchReader": lambda: pa.Table.from_pylist(NAMED).to_reader(max_chunksize=7),
}


@pytest.fixture(scope="module")
def losses(tiny_bundle: ModelBundle, tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """The losses of the rows in a Parquet file."""
    folder = tmp_path_factory.mktemp("file")
    pq.write_table(pa.Table.from_pylist(NAMED), folder / "rows.parquet")
    score_dataset(tiny_bundle, folder / "rows.parquet", folder / "run", SMALL)
    found: list[float] = scores(folder / "run")["loss"].to_pylist()
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_losses_are_those_of_the_file(
    tiny_bundle: ModelBundle, losses: list[float], kind: str, tmp_path: Path
) -> None:
    score_dataset(tiny_bundle, KINDS[kind](), tmp_path / "run", SMALL)
    assert scores(tmp_path / "run")["loss"].to_pylist() == losses
    by_hand = [expected_loss(row["text"], CLASSES.index(row["label"])) for row in NAMED]
    np.testing.assert_allclose(losses, by_hand, rtol=1e-4, atol=1e-4)
    assert RunDirectory.open(tmp_path / "run").manifest.data.name in (kind, "DataFrame", "Dataset", "table")


def test_missing_texts_and_labels(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    frame = pandas.DataFrame({"text": ["w1", None, float("nan"), "w2"], "label": ["World", "World", None, None]})
    stats = score_dataset(tiny_bundle, frame, tmp_path / "run", SMALL)
    assert stats.by_status == {"ok": 1, "no_label": 1, "no_text": 2}
    assert scores(tmp_path / "run")["label"].to_pylist() == [0, 0, None, None]


def test_a_run_of_a_stream_resumes(tiny_bundle: ModelBundle, losses: list[float], tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.rows >= 20:
            raise KeyboardInterrupt

    stream = to_dataset().to_iterable_dataset(num_shards=3)
    small = replace(SMALL, window_rows=10, shard_rows=10)
    with pytest.raises(KeyboardInterrupt):
        score_dataset(tiny_bundle, stream, tmp_path / "run", small, on_progress=stop)
    stats = score_dataset(tiny_bundle, stream, tmp_path / "run", small)
    assert stats.kept_rows >= 10
    assert scores(tmp_path / "run")["loss"].to_pylist() == losses


Step = tuple[str, Any]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("shuffle"), st.integers(0, 99)),
        st.tuples(st.just("filter"), st.integers(2, 4)),
        st.tuples(st.just("select"), st.lists(st.integers(0, N), min_size=1, max_size=40)),
        st.tuples(st.just("slice"), st.tuples(st.integers(0, N), st.integers(1, N))),
        st.tuples(st.just("concatenate"), st.integers(0, 99)),
        st.tuples(st.just("shard"), st.tuples(st.integers(2, 4), st.integers(0, 3), st.booleans())),
    ),
    min_size=1,
    max_size=4,
)


def apply_step(data: Any, kind: str, with_: Any) -> Any:
    """Return the Dataset after one step; positions wrap around, and a step that leaves no row is left out."""
    if kind == "shuffle":
        return data.shuffle(seed=with_)
    if kind == "filter":
        kept = data.filter(lambda _, i: i % with_ != 0, with_indices=True)
        return kept if len(kept) else data
    if kind == "select":
        return data.select([i % len(data) for i in with_])
    if kind == "slice":
        start = with_[0] % len(data)
        return data.select(range(start, min(start + with_[1], len(data))))
    if kind == "concatenate":
        return datasets.concatenate_datasets([data, to_dataset().shuffle(seed=with_).select(range(9))])
    shards, index, contiguous = with_
    return data.shard(shards, index % shards, contiguous=contiguous) if len(data) >= shards else data


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The rows in memory, and in three memory-mapped files."""
    folder = tmp_path_factory.mktemp("saved") / "rows"
    to_dataset().save_to_disk(folder, num_shards=3)
    return [to_dataset(), datasets.load_from_disk(folder)]


@cache
def loss_of(text: str, label: int) -> float:
    return expected_loss(text, CLASSES.index(NAMES[label]))


@short_and_long("examples", 30, 500)
def test_every_row_of_any_dataset_has_its_own_loss(tiny_bundle: ModelBundle, bases: list[Any], examples: int) -> None:
    @settings(max_examples=examples)
    @given(base=st.integers(0, 1), steps=STEPS, shown_as=st.sampled_from([None, "arrow", "numpy"]))
    def check(base: int, steps: list[Step], shown_as: str | None) -> None:
        data = bases[base]
        for kind, with_ in steps:
            data = apply_step(data, kind, with_)
        shown = [data[i] for i in range(len(data))]
        data = data.with_format(shown_as)
        with TemporaryDirectory() as folder:
            score_dataset(tiny_bundle, data, folder, SMALL)
            table = scores(Path(folder))
        assert table["row"].to_pylist() == list(range(len(shown)))
        expected = [loss_of(row["text"], row["label"]) for row in shown]
        np.testing.assert_allclose(table["loss"].to_numpy(), expected, rtol=1e-4, atol=1e-4)
        rows = np.random.default_rng(len(shown)).permutation(len(shown))
        assert open_source(data).take(rows).to_pylist() == [shown[i] for i in rows]

    check()
