"""A recorded data spec is read and written as run.json has it: same keys, same order, same absences."""

import json
from typing import Any

import msgspec
import pytest

from scorer.data.spec import DatasetsSpec, FilesSpec, Spec

HASHED = {"file": "/x/a.csv", "rows": 3, "sha256": "0" * 64}
VERSIONED = {"file": "s3://b/a.csv", "rows": 3, "version": {"size": 9, "ETag": "x"}}


@pytest.mark.parametrize(
    "recorded",
    [
        {"kind": "files", "data": "/x/a.csv", "split": None, "files": [HASHED]},
        {"kind": "files", "data": ["/x/a.csv", "s3://b/a.csv"], "split": "train", "relative": ["a.csv"],
         "left_out": True, "files": [HASHED, VERSIONED]},
        {"kind": "datasets", "data": "ag_news", "config": None, "split": "test"},
        {"kind": "datasets", "data": "ag_news", "config": "x", "split": "test", "streaming": True},
        {"kind": "table"},
    ],
)  # fmt: skip
def test_what_was_read_is_written_the_same(recorded: dict[str, Any]) -> None:
    assert json.dumps(msgspec.to_builtins(msgspec.convert(recorded, Spec))) == json.dumps(recorded)


def test_unknown_keys_are_ignored() -> None:
    assert msgspec.convert({"kind": "datasets", "data": "ag_news", "later": [1]}, Spec) == DatasetsSpec(data="ag_news")
    assert msgspec.convert({"kind": "files", "data": "a", "files": [HASHED | {"later": 1}]}, Spec).files[0].rows == 3


def test_locations() -> None:
    assert FilesSpec(data="/x").locations == ("/x",)
    assert FilesSpec(data=("/x", "/y")).locations == ("/x", "/y")
    assert msgspec.convert({"kind": "table"}, Spec).locations == msgspec.convert({"kind": "table"}, Spec).files == ()


@pytest.mark.parametrize(
    "recorded",
    [
        None,
        [],
        {},
        {"kind": "other"},
        {"kind": "files"},
        {"kind": "files", "data": 1},
        {"kind": "files", "data": "/x\0"},
        {"kind": "files", "data": ["/x", "/x\0\n"]},
        {"kind": "files", "data": "/x", "files": [{}]},
        {"kind": "files", "data": "/x", "files": [{"file": "/x\0/a"}]},
        {"kind": "files", "data": "/x", "relative": "x"},
        {"kind": "files", "data": "/x", "split": 1},
        {"kind": "datasets", "data": ["a", "b"]},
        {"kind": "datasets", "data": "a", "streaming": 1},
    ],
)
def test_what_is_no_spec_is_refused(recorded: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(recorded, Spec)
