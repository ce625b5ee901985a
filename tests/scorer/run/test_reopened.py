"""reopen_data() and the resume of a run: the same rows are the same data, whichever kind; others are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from lossrank.publish.hints import apply_command
from lossrank.review.compare import compare
from scorer import ModelBundle, Progress, RunDirectory, RunError, ScoreOptions, SourceError, open_source, score_dataset
from scorer.audit.matching import BY_ROW, how_to_match
from scorer.audit.verify import verify
from scorer.run.protect import refuse_own_data
from scorer.run.reopened import reopen_data, same_data
from tests.support import SOAK
from tests.support.facts import facts
from tests.support.tiny import CLASSES, make_texts

datasets = pytest.importorskip("datasets")

N = 350
OPTIONS = ScoreOptions(batch_tokens=300, shard_rows=100, threads=1, id_column="key")
TEXTS: list[str | None] = [f'{text}, "quoted"\nsecond line' for text in make_texts(N)]
TEXTS[7] = None
LABELS = [None if i == 9 else CLASSES[i % 4] for i in range(N)]
TABLE = pa.table({"key": range(N), "text": TEXTS, "label": LABELS, "note": [f"note {i}" for i in range(N)]})


def in_memory(table: pa.Table, folder: Path) -> pa.Table:
    return table


def dictionaries(table: pa.Table, folder: Path) -> pa.Table:
    """Return a table as pandas makes it of categories, in chunks, with its columns in another order."""
    table = pa.concat_tables([table.slice(0, 90), table.slice(90)])
    for at in (1, 2):
        table = table.set_column(at, table.column_names[at], table.column(at).dictionary_encode())
    return table.select(["label", "text", "key"])


def parquet(table: pa.Table, folder: Path) -> Path:
    pq.write_table(table, folder / "rows.parquet", row_group_size=64)
    return folder / "rows.parquet"


def folder_of_csv(table: pa.Table, folder: Path) -> Path:
    (folder / "csv").mkdir(exist_ok=True)
    for at in (0, 120):
        pa_csv.write_csv(table.slice(at, 120 if at == 0 else None), folder / "csv" / f"{at:03}.csv")
    return folder / "csv"


def jsonl(table: pa.Table, folder: Path) -> Path:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    return folder / "rows.jsonl"


def pandas_frame(table: pa.Table, folder: Path) -> Any:
    """Return a DataFrame with a missing label and text, and another index."""
    frame = table.to_pandas()
    return frame.set_index(frame.index[::-1])


def shuffled_dataset(table: pa.Table, folder: Path) -> Any:
    """Return a Dataset that shows the rows in order, though its table has them in another."""
    order = list(range(len(table)))[::-1]
    return datasets.Dataset.from_dict(table.take(order).to_pydict()).select(order)


def dicts(table: pa.Table, folder: Path) -> list[dict[str, Any]]:
    return table.to_pylist()


KINDS: dict[str, Callable[[pa.Table, Path], Any]] = {
    "table": in_memory,
    "dictionaries": dictionaries,
    "pandas": pandas_frame,
    "dataset": shuffled_dataset,
    "dicts": dicts,
    "parquet": parquet,
    "csv": folder_of_csv,
    "jsonl": jsonl,
}


@pytest.fixture(scope="module")
def runs(tiny_bundle: ModelBundle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunDirectory]:
    """One run of each kind of data."""
    scored = {}
    for kind, make in KINDS.items():
        folder = tmp_path_factory.mktemp("kind")
        score_dataset(tiny_bundle, make(TABLE, folder), folder / "run", OPTIONS)
        scored[kind] = RunDirectory.open(folder / "run")
    return scored


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scored", KINDS)
def test_what_was_scored_is_reopened_as_another_kind(
    runs: dict[str, RunDirectory], tmp_path: Path, scored: str, kind: str
) -> None:
    data = KINDS[kind](TABLE, tmp_path)
    assert reopen_data(runs[scored], data).read(["text"])
    assert verify(runs[scored], data=data).complete
    assert same_data(runs[scored], runs[kind])
    assert how_to_match(runs[scored], runs[kind]) == BY_ROW


def test_a_runs_content_does_not_depend_on_the_kind_or_the_shards(
    runs: dict[str, RunDirectory], tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    apart = ("table", "dictionaries", "parquet", "csv", "jsonl")
    assert len({runs[kind].data_fingerprint for kind in apart}) == len(apart)
    (content,) = {run.content_fingerprint for run in runs.values()}
    assert content is not None
    other = ScoreOptions(threads=1, shard_rows=33, window_rows=7, id_column="key")
    score_dataset(tiny_bundle, TABLE, tmp_path / "run", other)
    assert RunDirectory.open(tmp_path / "run").content_fingerprint == content
    assert "the runs are over the same data" in compare(RunDirectory.open(tmp_path / "run"), runs["csv"], 10).notes


def swapped(table: pa.Table) -> pa.Table:
    return table.take([*range(149), 150, 149, *range(151, N)])


def other(column: str, value: object) -> Callable[[pa.Table], pa.Table]:
    def changed(table: pa.Table) -> pa.Table:
        values = table[column].to_pylist()
        values[150] = value
        return table.set_column(table.column_names.index(column), column, pa.array(values))

    return changed


OTHERS: dict[str, tuple[Callable[[pa.Table], pa.Table], tuple[object, ...]]] = {
    "text": (other("text", "another text"), ("rows 100 to 199",)),
    "no text": (other("text", None), ("rows 100 to 199",)),
    "label": (other("label", CLASSES[3]), ("rows 100 to 199",)),
    "id": (other("key", 151), ("rows 100 to 199",)),
    "order": (swapped, ("rows 100 to 199",)),
    "last": (lambda table: pa.concat_tables([table.slice(0, N - 1), table.slice(0, 1)]), ("rows 300 to 349",)),
    "fewer": (lambda table: table.slice(0, N - 1), (N - 1, N)),
    "more": (lambda table: pa.concat_tables([table, table.slice(0, 1)]), (N + 1, N)),
    "column": (lambda table: table.drop_columns(["key"]), ("'key'", "id")),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scored", ["csv", pytest.param("table", marks=SOAK)])
def test_other_data_is_refused(
    runs: dict[str, RunDirectory], tmp_path: Path, scored: str, kind: str, name: str
) -> None:
    change, told = OTHERS[name]
    make = KINDS[kind] if name != "column" or kind != "dictionaries" else in_memory
    data = make(change(TABLE), tmp_path)
    with pytest.raises(SourceError, match=facts("not what was scored", *told)) as raised:
        reopen_data(runs[scored], data)
    assert raised.value.quotes_data == (name == "column")
    assert not verify(runs[scored], data=data).sound


def test_an_edited_file_is_refused_where_it_lies_and_a_file_written_anew_is_not(
    tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    file = parquet(TABLE, tmp_path)
    score_dataset(tiny_bundle, file, tmp_path / "run", OPTIONS)
    run = RunDirectory.open(tmp_path / "run")
    pq.write_table(TABLE, file, compression="gzip")
    assert reopen_data(run).num_rows == N
    pq.write_table(swapped(TABLE), file)
    with pytest.raises(SourceError, match=facts(file.name, "has changed", "rows 100 to 199", "`data`")):
        reopen_data(run)


def test_data_in_memory_must_be_given_again(runs: dict[str, RunDirectory], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=facts("in memory", "`data`")):
        reopen_data(runs["table"])
    assert reopen_data(runs["table"], TABLE).num_rows == N
    refuse_own_data(tmp_path / "worst.csv", runs["table"], TABLE)
    assert "--data" not in apply_command(runs["table"], TABLE)
    with pytest.raises(RunError, match=facts("data that was scored")):
        refuse_own_data(parquet(TABLE, tmp_path), runs["table"], tmp_path / "rows.parquet")


def test_a_run_of_an_older_version_is_compared_by_its_files_alone(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    score_dataset(tiny_bundle, parquet(TABLE, tmp_path), tmp_path / "run", OPTIONS)
    file = tmp_path / "run" / "run.json"
    manifest = json.loads(file.read_text())
    del manifest["shards"]["part-00001.parquet"]["content"]
    file.write_text(json.dumps(manifest))
    run = RunDirectory.open(tmp_path / "run")
    assert run.content_fingerprint is None
    assert reopen_data(run, (tmp_path / "rows.parquet").rename(tmp_path / "moved.parquet")).num_rows == N
    with pytest.raises(SourceError, match=facts("has changed since", "restore")):
        reopen_data(run, TABLE)
    with pytest.raises(RunError, match=facts("another run", "the data is table")):
        score_dataset(tiny_bundle, TABLE, tmp_path / "run", OPTIONS)


def test_a_saved_split_is_reopened_from_a_file(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    whole = datasets.Dataset.from_dict(TABLE.to_pydict())
    datasets.DatasetDict({"train": whole.select(range(9)), "test": whole}).save_to_disk(tmp_path / "saved")
    score_dataset(tiny_bundle, tmp_path / "saved", tmp_path / "run", OPTIONS, split="test")
    run = RunDirectory.open(tmp_path / "run")
    for data in (TABLE, jsonl(TABLE, tmp_path), (tmp_path / "saved").rename(tmp_path / "moved")):
        assert reopen_data(run, data).num_rows == N
    with pytest.raises(SourceError, match=facts("not what was scored", "rows 100 to 199")):
        reopen_data(run, swapped(TABLE))
    with pytest.raises(SourceError, match=facts(tmp_path / "gone.csv")):
        reopen_data(run, tmp_path / "gone.csv")


@pytest.mark.parametrize("split", ["test", None])
def test_the_split_of_a_dict_in_memory_is_remembered(
    tiny_bundle: ModelBundle, tmp_path: Path, split: str | None
) -> None:
    whole = datasets.Dataset.from_dict(TABLE.to_pydict())
    splits = datasets.DatasetDict({"test": whole} | ({"train": whole.select(range(9))} if split else {}))
    score_dataset(tiny_bundle, splits, tmp_path / "run", OPTIONS, split=split)
    run = RunDirectory.open(tmp_path / "run")
    assert run.manifest.data.spec.split == "test"
    for data in (splits, whole, TABLE, TABLE.to_reader(), jsonl(TABLE, tmp_path)):
        assert reopen_data(run, data).num_rows == N
    with pytest.raises(SourceError, match=facts("not what was scored", "rows 100 to 199")):
        reopen_data(run, datasets.DatasetDict({"test": datasets.Dataset.from_dict(swapped(TABLE).to_pydict())}))


class Cut(Exception):
    """Stands in for whatever ends a process."""


def cut(progress: Progress) -> None:
    if progress.rows > 210:
        raise Cut


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("begun", ["parquet", *(pytest.param(kind, marks=SOAK) for kind in ("table", "dataset"))])
def test_a_run_resumes_with_another_kind_of_the_same_rows(
    runs: dict[str, RunDirectory], tiny_bundle: ModelBundle, tmp_path: Path, begun: str, kind: str
) -> None:
    first, then, csv_again = (KINDS[each](TABLE, tmp_path) for each in (begun, kind, "csv"))
    with pytest.raises(Cut):
        score_dataset(tiny_bundle, first, tmp_path / "run", OPTIONS, on_progress=cut)
    before = RunDirectory.read(tmp_path / "run")
    assert before.missing_shards() == [2, 3]
    with pytest.raises(RunError, match=facts("another run", "table")):
        score_dataset(tiny_bundle, swapped(TABLE), tmp_path / "run", OPTIONS)
    stats = score_dataset(tiny_bundle, then, tmp_path / "run", OPTIONS)
    run = RunDirectory.open(tmp_path / "run")
    assert stats.kept_rows == 200
    assert run.content_fingerprint == runs["csv"].content_fingerprint
    assert run.data_fingerprint == open_source(then).fingerprint
    whole = runs["table"].path / "scores"
    for shard in (run.path / "scores").iterdir():
        assert shard.read_bytes() == (whole / shard.name).read_bytes()
    places = [str(then)] if isinstance(then, Path) else []
    assert list(run.manifest.data.spec.locations) == places
    # Decisions and records in review tools are named by the fingerprint of a finished run.
    assert score_dataset(tiny_bundle, csv_again, tmp_path / "run", OPTIONS).kept_rows == N
    again = RunDirectory.open(tmp_path / "run").manifest.data
    assert again.fingerprint == run.data_fingerprint
    places = places or [str(csv_again)]
    assert list(again.spec.locations) == places
    assert score_dataset(tiny_bundle, TABLE, tmp_path / "run", OPTIONS).kept_rows == N
    assert RunDirectory.open(tmp_path / "run").manifest.data == again
    assert reopen_data(RunDirectory.open(tmp_path / "run")).num_rows == N


def test_a_resumed_run_is_a_run_of_the_data_that_it_was_resumed_with(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    """Only what was scored can be compared; the other rows are read from the new data."""
    with pytest.raises(Cut):
        score_dataset(tiny_bundle, TABLE, tmp_path / "run", OPTIONS, on_progress=cut)
    later = pa.concat_tables([TABLE.slice(0, 200), TABLE.slice(200).take(list(range(N - 200))[::-1])])
    score_dataset(tiny_bundle, later, tmp_path / "run", OPTIONS)
    assert reopen_data(RunDirectory.open(tmp_path / "run"), later).num_rows == N
    with pytest.raises(SourceError, match=facts("rows 200 to 299")):
        reopen_data(RunDirectory.open(tmp_path / "run"), TABLE)
