"""Splits of folders, by the hub's rules: train and test are never one data set in silence."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossrank.publish.split import split_name
from scorer import ModelBundle, open_source, score_dataset
from scorer.run.reopened import reopen_data
from tests.scorer.data.filesystem.helpers import Bucket
from tests.scorer.data.folders.helpers import TABLE, refusal, rows_of, write
from tests.support.facts import tells
from tests.support.manifests import run_of

HUB = ("data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/test-00000-of-00001.parquet")


def folder_of(folder: Path, *paths: str) -> Path:
    """Write a file of one row, its own path, at each of the paths."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        if path.endswith(".parquet"):
            pq.write_table(pa.table({"text": [path]}), folder / path)
        else:
            write(folder / path, f"text\n{path}\n")
    return folder


def texts(data: Path, split: str | None = None) -> list[str]:
    return [row["text"] for row in rows_of(open_source(data, split=split))]


@pytest.mark.parametrize(
    ("paths", "splits"),
    [
        (HUB, {"train": HUB[:2], "test": HUB[2:]}),
        (("data/extra-00000-of-00001.parquet", *HUB), {"train": HUB[:2], "test": HUB[2:], "extra": None}),
        (("train.csv", "test.csv"), {"train": None, "test": None}),
        (("Train.csv", "TEST.csv"), {"train": ("Train.csv",), "test": ("TEST.csv",)}),
        (("train/a.csv", "train/b.csv", "test/a.csv"),
         {"train": ("train/a.csv", "train/b.csv"), "test": ("test/a.csv",)}),
        (("x/my_train_1.csv", "x/my-dev.csv", "x/my.eval.csv"),
         {"train": ("x/my_train_1.csv",), "validation": ("x/my-dev.csv",), "test": ("x/my.eval.csv",)}),
        (("ds-training/test.csv", "ds-testing/train.csv"),
         {"train": ("ds-training/test.csv",), "test": ("ds-testing/train.csv",)}),
        (("valid.csv", "evaluation.csv"), {"validation": ("valid.csv",), "test": ("evaluation.csv",)}),
    ],
)  # fmt: skip
def test_by_names(tmp_path: Path, paths: tuple[str, ...], splits: dict[str, tuple[str, ...] | None]) -> None:
    folder_of(tmp_path, *paths)
    message = refusal(tmp_path)
    assert tells(message, "has files of the splits", "`split`", *splits)
    for split, files in splits.items():
        expected = files or [path for path in paths if split in path]
        assert texts(tmp_path, split) == list(expected)
    assert tells(refusal(tmp_path, split="tset"), "`split='tset'`", "has only files of", *splits)


@pytest.mark.parametrize(
    ("paths", "split"),
    [
        (("a.csv", "b.csv"), None),
        (("latest.csv", "contest.csv", "trainer.csv"), None),
        (("2020/part-0.csv", "2021/part-0.csv"), None),
        (("train-0.csv", "train-1.csv"), "train"),
        (("label=test/a.csv", "label=train/a.csv"), None),
        (("data/train-00000-of-00001.parquet",), "train"),
        (("plain/unsupervised-00000-of-00001.csv",), None),
    ],
)
def test_no_split_or_one_is_one_data_set(tmp_path: Path, paths: tuple[str, ...], split: str | None) -> None:
    folder_of(tmp_path, *paths)
    assert texts(tmp_path) == sorted(paths)
    if split:
        assert texts(tmp_path, split) == sorted(paths)
    else:
        assert tells(refusal(tmp_path, split="test"), "no file in", "has the name of a split", "leave `split` out")


def test_one_split_and_others_ask(tmp_path: Path) -> None:
    folder_of(tmp_path, "train.csv", "more.csv")
    assert tells(refusal(tmp_path), "split train (train.csv) and others (more.csv)", "`split='train'`")
    assert texts(tmp_path, "train") == ["train.csv"]


def test_a_glob_reads_what_it_names_and_says_so(tmp_path: Path) -> None:
    folder_of(tmp_path, "train.csv", "test.csv")
    source = open_source(tmp_path / "*.csv")
    assert [row["text"] for row in rows_of(source)] == ["test.csv", "train.csv"]
    assert any("splits train, test" in note for note in source.notes)
    assert open_source([tmp_path / "train.csv", tmp_path / "test.csv"]).notes == source.notes  # the shell's glob
    assert open_source(tmp_path / "tr*.csv").notes == ()
    assert tells(refusal(tmp_path / "*.csv", split="test"), "`split='test'`", "'FOLDER/test-*.parquet'")


README = """---
license: mit
configs:
- config_name: default
  data_files:
  - split: train
    path: data/part-a*
  - split: holdout
    path: [data/part-b.csv, "more/**"]
---
# A data set
"""


@pytest.mark.parametrize(
    "readme",
    [
        README,
        README.replace("\n", "\r\n"),
        README.replace("default", "main"),
        README.replace("configs:\n", "configs:\n- config_name: other\n  data_files: x.csv\n"),
        README.replace("default", "main\n  default: true").replace(
            "configs:\n", "configs:\n- config_name: other\n  data_files: x.csv\n"
        ),
    ],
)
def test_by_the_readme(tmp_path: Path, readme: str) -> None:
    folder_of(tmp_path, "data/part-a1.csv", "data/part-a2.csv", "data/part-b.csv", "more/x/test.csv")
    write(tmp_path / "README.md", readme)
    assert texts(tmp_path, "train") == ["data/part-a1.csv", "data/part-a2.csv"]
    assert texts(tmp_path, "holdout") == ["data/part-b.csv", "more/x/test.csv"]
    assert tells(refusal(tmp_path), "splits train, holdout")
    assert tells(refusal(tmp_path, split="test"), "`split='test'`", "has only files of train, holdout")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ("data/part-a*", ["data/part-a1.csv", "data/part-a2.csv"]),
        ("data", ["data/part-a1.csv", "data/part-a2.csv", "data/part-b.csv"]),
        ("{train: ./data/part-b.csv}", ["data/part-b.csv"]),
        ("[data/part-b.csv, data/part-a1.csv]", ["data/part-a1.csv", "data/part-b.csv"]),
        ("part-b.csv\n  data_dir: data", ["data/part-b.csv"]),
    ],
)
def test_forms_of_data_files(tmp_path: Path, files: str, expected: list[str]) -> None:
    folder_of(tmp_path, "data/part-a1.csv", "data/part-a2.csv", "data/part-b.csv", "more/z.csv")
    write(tmp_path / "README.md", f"---\nconfigs:\n- config_name: default\n  data_files: {files}\n---\n")
    assert texts(tmp_path, "train") == expected
    assert tells(refusal(tmp_path), "split train", "and others")


def test_several_configurations_ask(tmp_path: Path) -> None:
    folder_of(tmp_path, "a/x.csv", "b/x.csv")
    configs = "".join(f"- config_name: {name}\n  data_files: {name}/*\n" for name in "ab")
    write(tmp_path / "README.md", f"---\nconfigs:\n{configs}---\n")
    assert tells(refusal(tmp_path), "configurations a, b", "README.md")
    assert texts(tmp_path / "a") == ["a/x.csv"]


@pytest.mark.parametrize(
    "readme",
    ["# no head", "---\nconfigs: [\n---\n", "---\nconfigs: 3\n---\n", "---\nconfigs:\n- 3\n---\n", "", b"\xff"],
)
def test_a_readme_that_gives_no_splits(tmp_path: Path, readme: str | bytes) -> None:
    folder_of(tmp_path, "train.csv", "test.csv")
    write(tmp_path / "README.md", readme)
    assert texts(tmp_path, "test") == ["test.csv"]
    assert tells(refusal(tmp_path), "splits train, test")


def test_the_same_as_the_library(tmp_path: Path) -> None:
    """Which files belong to which split is what `datasets` itself says."""
    data_files = pytest.importorskip("datasets.data_files")
    layouts = (
        HUB,
        ("train.csv", "test.csv", "dev.csv"),
        ("train/a.csv", "val/a.csv", "other/b.csv"),
        ("a_train_x.csv", "a.test.csv", "trainer.csv", "pretest.csv", "data-valid2.csv"),
        ("set1/train0.csv", "set1/evaluation-b.csv", "set2/training.csv"),
        ("testing-set/x.csv", "my_train/y.csv", "z/test.csv"),
        ("foo-00000-of-00001.csv", "data/foo-00000-of-00001.csv", "data/a.b-00000-of-00001-xyz.csv"),
    )
    for i, paths in enumerate(layouts):
        folder = folder_of(tmp_path / str(i), *paths)
        patterns = data_files.get_data_patterns(str(folder))
        expected = {
            str(split): sorted(
                {
                    Path(file).relative_to(folder).as_posix()
                    for pattern in each
                    for file in resolved(data_files, pattern, folder)
                }
            )
            for split, each in patterns.items()
        }
        for split, files in expected.items():
            if set(expected) != {"train"} or set(files) != set(paths):
                assert sorted(texts(folder, split)) == files, (paths, split)


def resolved(data_files: object, pattern: str, folder: Path) -> list[str]:
    try:
        return list(data_files.resolve_pattern(pattern, str(folder)))  # type: ignore[attr-defined]
    except FileNotFoundError:
        return []


def test_a_cloned_data_set_of_the_library(tmp_path: Path, tiny_bundle: ModelBundle) -> None:
    datasets = pytest.importorskip("datasets")
    for split, rows in (("train", TABLE), ("test", TABLE.slice(0, 5))):
        (tmp_path / "d" / "data").mkdir(parents=True, exist_ok=True)
        datasets.Dataset(rows).to_parquet(tmp_path / "d" / "data" / f"{split}-00000-of-00001.parquet")
    write(tmp_path / "d" / ".gitattributes", "x")
    write(tmp_path / "d" / "dataset_infos.json", "{}")
    write(tmp_path / "d" / "README.md", "# x")
    stats = score_dataset(tiny_bundle, tmp_path / "d", tmp_path / "run", split="test")
    assert stats.by_status == {"ok": 5}
    source = open_source(tmp_path / "d", split="test")
    assert source.spec.split == split_name(source.spec) == "test"
    assert rows_of(reopen_data(run_of(source))) == TABLE.slice(0, 5).to_pylist()
    assert reopen_data(run_of(source), tmp_path / "d" / "data" / "test-00000-of-00001.parquet").num_rows == 5


def test_in_a_store(bucket: Bucket) -> None:
    bucket("d/README.md", README.encode())
    bucket("d/data/part-a1.csv", b"text\na\n")
    root = bucket("d/data/part-b.csv", b"text\nb\n")
    bucket("e/train.csv", b"text\na\n")
    bucket("e/test.csv", b"text\nb\n")
    assert texts(f"{root}/d", "holdout") == ["b"]  # type: ignore[arg-type]
    assert texts(f"{root}/e", "train") == ["a"]  # type: ignore[arg-type]
    assert tells(refusal(f"{root}/d"), "splits train, holdout")
    assert tells(refusal(f"{root}/e/"), "splits train, test")
