"""Hive partitions: the names of folders are columns, and rows keep the order of the paths."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer import ModelBundle, open_source, score_dataset
from scorer.run.reopened import reopen_data
from tests.scorer.data.filesystem.helpers import Bucket, parquet
from tests.scorer.data.folders.helpers import LABELS, TABLE, Row, refusal, rows_of, write
from tests.support.facts import tells
from tests.support.manifests import run_of


def by_pandas(folder: Path) -> None:
    pytest.importorskip("pandas")
    TABLE.to_pandas().to_parquet(folder, partition_cols=["label"])


def by_pyarrow(folder: Path) -> None:
    pa.dataset.write_dataset(
        TABLE,
        folder,
        format="parquet",
        partitioning=["label"],
        partitioning_flavor="hive",
        existing_data_behavior="error",
    )


def by_polars(folder: Path) -> None:
    """Polars keeps the column in the files too."""
    polars = pytest.importorskip("polars")
    polars.from_arrow(TABLE).write_parquet(folder, partition_by="label")


def csv_by_pyarrow(folder: Path) -> None:
    pa.dataset.write_dataset(TABLE, folder, format="csv", partitioning=["label"], partitioning_flavor="hive")


def in_order(label: str) -> list[Row]:
    return [{"text": row["text"], "label": label} for row in TABLE.to_pylist() if row["label"] == label]


EXPECTED = [row for label in sorted(LABELS, key=lambda label: label.replace("/", "%2F")) for row in in_order(label)]


@pytest.mark.parametrize("write_folder", [by_pandas, by_pyarrow, by_polars, csv_by_pyarrow])
@pytest.mark.parametrize("data", ["", "/", "/*/*", "/**/*.*", "/label=*/*"])
def test_labels_are_the_names_of_folders(tmp_path: Path, write_folder: Callable[[Path], None], data: str) -> None:
    write_folder(tmp_path / "d")
    assert (tmp_path / "d" / "label=Sci%2FTech").is_dir()
    source = open_source(f"{tmp_path}/d{data}")
    assert rows_of(source) == EXPECTED
    assert source.schema.names == ["text", "label"]
    assert rows_of(source, ["label"]) == [{"label": row["label"]} for row in EXPECTED]
    assert source.take(np.array([11, 0, 4])).to_pylist() == [EXPECTED[i] for i in (11, 0, 4)]
    assert [row for batch in source.read(["label", "text"], 2, 5) for row in batch.select([0, 1]).to_pylist()] == [
        {"label": row["label"], "text": row["text"]} for row in EXPECTED[2:5]
    ]
    assert any("label from the names of folders, such as label=Business" in note for note in source.notes)


def test_nulls_and_several_keys(tmp_path: Path) -> None:
    table = pa.table({"text": ["a", "b", "c"], "label": ["World", None, ""], "lang": ["en", "de", "en"]})
    for i, folder in enumerate(("lang=de/label=__HIVE_DEFAULT_PARTITION__", "lang=en/label=", "lang=en/label=World")):
        (tmp_path / folder).mkdir(parents=True)
        pq.write_table(table.select(["text"]).slice((1, 2, 0)[i], 1), tmp_path / folder / "x.parquet")
    assert rows_of(open_source(tmp_path)) == [
        {"text": "b", "lang": "de", "label": None},
        {"text": "c", "lang": "en", "label": ""},
        {"text": "a", "lang": "en", "label": "World"},
    ]


def test_paths_that_the_shell_expands_have_the_partitions_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_pyarrow(tmp_path / "d")
    monkeypatch.chdir(tmp_path)
    assert rows_of(open_source(sorted(map(str, Path("d").glob("label=*/*"))))) == EXPECTED
    assert rows_of(open_source(["d/label=World", "d/label=Sports/part-0.parquet"])) == [
        *in_order("World"),
        *in_order("Sports"),
    ]
    assert rows_of(open_source(["d/label=World", "d/label=Business/../label=Sports/"])) == [
        *in_order("World"),
        *in_order("Sports"),
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)),
        min_size=1,
        max_size=8,
    )
)
def test_any_label_survives(labels: list[str | None]) -> None:
    table = pa.table({"text": [f"text {i}" for i in range(len(labels))], "label": pa.array(labels, pa.string())})
    with tempfile.TemporaryDirectory() as folder:
        pa.dataset.write_dataset(
            table, folder, format="parquet", partitioning=["label"], partitioning_flavor="hive",
            existing_data_behavior="overwrite_or_ignore", max_partitions=100,
        )  # fmt: skip
        rows = rows_of(open_source(folder))
    assert sorted((row["text"], row["label"] or "") for row in rows) == sorted(
        (f"text {i}", label or "") for i, label in enumerate(labels)
    )


def test_paths_without_common_keys_are_read_from_where_each_begins(tmp_path: Path) -> None:
    one = write(tmp_path / "lr=0.1" / "a.csv", "text\na\n")
    other = write(tmp_path / "b.csv", "text\nb\n")
    source = open_source([one, other])
    assert rows_of(source) == [{"text": "a"}, {"text": "b"}]
    assert any("lr=0.1 is part of the given path" in note for note in source.notes)
    below = write(tmp_path / "c" / "lang=en" / "a.csv", "text\na\n").parent.parent
    assert tells(refusal([below, other]), "b.csv lies in no folder such as KEY=VALUE", "folders of lang")


@pytest.mark.parametrize("data", ["d/label=World/part-0.parquet", "d/label=World", "d/label=World/*.parquet"])
def test_a_folder_within_a_partition_has_no_such_column_and_says_so(tmp_path: Path, data: str) -> None:
    by_pyarrow(tmp_path / "d")
    source = open_source(tmp_path / data)
    assert source.schema.names == ["text"]
    assert any("label=World is part of the given path, so it is no column" in note for note in source.notes)


def test_a_key_that_begins_like_a_hidden_folder_is_a_key(tmp_path: Path) -> None:
    write(tmp_path / "_label=World" / "x.csv", "text\nx\n")
    write(tmp_path / "_temporary" / "x.csv", "text\nx\n")
    write(tmp_path / ".label=World" / "x.csv", "text\nx\n")
    assert rows_of(open_source(tmp_path)) == [{"text": "x", "_label": "World"}]


def test_keys_must_be_the_same(tmp_path: Path) -> None:
    by_pyarrow(tmp_path / "d")
    (tmp_path / "d" / "zz").mkdir()
    pq.write_table(TABLE.select(["text"]), tmp_path / "d" / "zz" / "x.parquet")
    assert tells(
        refusal(tmp_path / "d"), "zz/x.parquet lies in no folder such as KEY=VALUE", "lies in folders of label"
    )
    write(tmp_path / "e" / "a=1" / "b=2" / "x.csv", "text\nx\n")
    write(tmp_path / "e" / "b=2" / "a=1" / "x.csv", "text\nx\n")
    assert tells(refusal(tmp_path / "e"), "e/b=2/a=1/x.csv lies in folders of b, a", "a, b", "same order")
    write(tmp_path / "f" / "a=1" / "a=2" / "x.csv", "text\nx\n")
    assert tells(refusal(tmp_path / "f"), "x.csv", "two folders that give 'a' a value")
    write(tmp_path / "g" / "a=%ff" / "x.csv", "text\nx\n")
    assert tells(refusal(tmp_path / "g"), "'a=%ff'", "percent-encoded UTF-8")


def test_a_column_that_differs_from_its_folder(tmp_path: Path) -> None:
    write(tmp_path / "label=World" / "x.csv", "text,label\na,World\nb,Sports\n")
    assert tells(refusal(tmp_path), "x.csv has the value 'Sports' in its column 'label'", "folder label=World")


def test_numbers_agree_however_they_are_spelt(tmp_path: Path) -> None:
    for value, label in (("1", 1.0), ("2", 2.0)):
        (tmp_path / f"label={value}").mkdir()
        pq.write_table(pa.table({"text": [f"t{value}"], "label": [label]}), tmp_path / f"label={value}" / "x.parquet")
    assert rows_of(open_source(tmp_path)) == [{"text": "t1", "label": 1.0}, {"text": "t2", "label": 2.0}]


def test_partitions_are_part_of_the_datas_identity(tmp_path: Path) -> None:
    by_pyarrow(tmp_path / "d")
    source = open_source(tmp_path / "d")
    assert reopen_data(run_of(source)).num_rows == 12
    (tmp_path / "d").rename(tmp_path / "moved")
    assert open_source(tmp_path / "moved").fingerprint == source.fingerprint
    (tmp_path / "moved" / "label=World").rename(tmp_path / "moved" / "label=Worldz")  # same order, same bytes
    assert open_source(tmp_path / "moved").fingerprint != source.fingerprint


def test_losses_are_those_of_the_plain_rows(tmp_path: Path, tiny_bundle: ModelBundle) -> None:
    by_pandas(tmp_path / "d")
    plain = score_dataset(tiny_bundle, pa.Table.from_pylist(EXPECTED), tmp_path / "plain")
    hive = score_dataset(tiny_bundle, tmp_path / "d", tmp_path / "hive")
    assert hive.by_status == plain.by_status == {"ok": 12}
    assert hive.mean_loss == plain.mean_loss


def test_in_a_store(bucket: Bucket) -> None:
    for label in ("World", "Sci%2FTech"):
        root = bucket(f"d/label={label}/x.parquet", parquet(pa.table({"text": [f"of {label}"]})))
    expected = [{"text": "of Sci%2FTech", "label": "Sci/Tech"}, {"text": "of World", "label": "World"}]
    for data in ("", "/d", "/d/*/*.parquet"):
        assert rows_of(open_source(root + data)) == expected
    assert open_source(f"{root}/d/label=World/x.parquet").schema.names == ["text"]
