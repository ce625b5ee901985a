"""A recorded data spec is read and written as run.json has it: same keys, same order, same absences."""

import json
from typing import Any

import msgspec
import pytest

from scorer.data.spec import DatasetsSpec, FilesSpec, spec_from, spec_to

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
    assert json.dumps(spec_to(spec_from(recorded))) == json.dumps(recorded)


def test_unknown_keys_are_ignored() -> None:
    assert spec_from({"kind": "datasets", "data": "ag_news", "later": [1]}) == DatasetsSpec(data="ag_news")
    assert spec_from({"kind": "files", "data": "a", "files": [HASHED | {"later": 1}]}).files[0].rows == 3


def test_locations() -> None:
    assert FilesSpec(data="/x").locations == ("/x",)
    assert FilesSpec(data=("/x", "/y")).locations == ("/x", "/y")
    assert spec_from({"kind": "table"}).locations == spec_from({"kind": "table"}).files == ()


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
        spec_from(recorded)
