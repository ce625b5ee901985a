"""Which split data are is known by the names of splits, files and folders."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from lossrank.publish.hints import apply_command
from lossrank.publish.split import refuse_test_split, split_name
from scorer import RunDirectory, RunError
from scorer.data.spec import DatasetsSpec, FilesSpec, Spec
from tests.support.facts import facts


@pytest.mark.parametrize(
    ("recorded", "split"),
    [
        ({"data": "ag_news", "split": "test"}, "test"),
        ({"data": "ag_news", "split": "test[:10%]"}, "test"),
        ({"data": "ag_news", "split": "train+test"}, "train"),
        ({"kind": "table", "split": "test"}, "test"),
        ({"data": "/x/ag_news_test.parquet"}, "test"),
        ({"data": "/x/Test"}, "test"),
        ({"data": "/x", "files": [{"file": "/x/data/test-00000-of-00001.parquet"}]}, "test"),
        ({"data": "/x", "files": [{"file": "/x/test/a.parquet"}]}, "test"),
        ({"data": "hf://datasets/u/n/data/test-*.parquet"}, "test"),
        ({"data": ["/x/train.csv", "/x/my.test.csv"]}, "train"),
        ({"data": ["/x/test.csv", "/x/train.csv"]}, "train"),
        ({"data": "/x/reviews_test/*.csv", "files": [{"file": "/x/reviews_test/a.csv"}]}, "test"),
        ({"data": ["/x/ag-Test/a.csv"], "files": [{"file": "/x/ag-Test/a.csv"}]}, "test"),
        ({"data": "/x/test_data/*.csv", "relative": ["test_data/*.csv"]}, "test"),
        ({"data": "/x/reviews_test/2024/*.csv", "relative": ["reviews_test/2024/*.csv"]}, "test"),
        ({"data": "/x/train/*/test/*.csv", "relative": ["train/*/test/*.csv"]}, "test"),
        ({"data": "/x/my-test/sub/a.csv", "relative": ["my-test/sub/a.csv"], "files": [{"file": "/x/a.csv"}]}, "test"),
        ({"data": "/x/test/dev/x/a.csv", "relative": ["test/dev/x/a.csv"]}, "test"),
        ({"data": "/x/TestSet/a.csv", "files": [{"file": "/x/TestSet/a.csv"}]}, "test"),
        ({"data": "/x/test-set/a.csv", "files": [{"file": "/x/test-set/a.csv"}]}, "test"),
        ({"data": "/x/testing", "files": [{"file": "/x/testing/a.csv"}, {"file": "/x/testing/train.csv"}]}, "train"),
        *(
            ({"data": f"/x/{name}"}, "test")
            for name in ("testing.csv", "testset.csv", "testdata.jsonl", "tests.csv", "test1.csv", "testset2.csv")
        ),
        *(({"data": f"/x/{name}"}, "test") for name in ("AGNewsTest.parquet", "agTest.csv", "TestA.csv", "TEST.csv")),
    ],
)
def test_a_test_split_is_known_by_its_names(recorded: dict[str, Any], split: str) -> None:
    spec = msgspec.convert({"kind": "files"} | recorded, Spec)
    with pytest.raises(RunError, match=facts("test split", "allow_test_split")):
        refuse_test_split(spec)
    assert split_name(spec) == split


@pytest.mark.parametrize(
    ("recorded", "split"),
    [
        ({"data": "ag_news", "split": "train"}, "train"),
        ({"data": "/x/contest-latest.parquet", "files": [{"file": "/x/contest-latest.parquet"}]}, "train"),
        ({"data": "/tests/run_1/reviews.csv", "files": [{"file": "/tests/test_7/reviews.csv"}]}, "train"),
        ({"data": "/home/me/test/train.csv", "files": [{"file": "/home/me/test/train.csv"}]}, "train"),
        ({"data": "/tmp/test_it0/*.csv", "files": [{"file": "/tmp/test_it0/a.csv"}]}, "train"),
        ({"data": "/me/test/reviews/*.csv", "files": [{"file": "/me/test/reviews/a.csv"}]}, "train"),
        ({"data": "/test/x/*.csv", "relative": ["x/*.csv"], "files": [{"file": "/test/x/a.csv"}]}, "train"),
        ({"data": "/x/test/train/*.csv", "relative": ["test/train/*.csv"]}, "train"),
        ({"data": "/x/latest/*.csv", "relative": ["latest/*.csv"]}, "train"),
        ({"data": "/x/test/train.csv", "relative": ["test/train.csv"]}, "train"),
        ({"data": "/x/test", "relative": ["test"], "files": [{"file": "/x/test/train.csv"}]}, "train"),
        ({"data": "/home/me/tests/a.csv", "files": [{"file": "/home/me/tests/a.csv"}]}, "train"),
        (
            {"data": "/tmp/x/test_it0/a.csv", "relative": ["a.csv"], "files": [{"file": "/tmp/x/test_it0/a.csv"}]},
            "train",
        ),
        ({"kind": "files", "data": "/x/saved", "split": "all"}, "train"),
        *(
            ({"data": f"/x/{word}.csv", "relative": [f"{word}/{word}.csv"]}, "train")
            for word in (
                "latest",
                "contest",
                "fastest",
                "attested",
                "greatest_hits",
                "protest",
                "Testament",
                "GreatestHits",
            )
        ),
        ({"data": "/me/dev/x/a.csv", "relative": ["dev/x/a.csv"], "files": [{"file": "/me/dev/x/a.csv"}]}, "train"),
        ({"data": "/x/reviews-dev.csv"}, "validation"),
        ({"data": "/x/validation/en/a.csv", "relative": ["validation/en/a.csv"]}, "validation"),
        ({"data": "/x/dev/*.csv", "relative": ["dev/*.csv"]}, "validation"),
        ({"data": "/x/dev", "relative": ["dev"], "files": [{"file": "/x/dev/a.csv"}]}, "validation"),
        ({"data": "ag_news", "split": "validation[:5]"}, "validation"),
        ({"kind": "table"}, "train"),
    ],
)
def test_other_data_are_no_test_split(recorded: dict[str, Any], split: str) -> None:
    spec = msgspec.convert({"kind": "files"} | recorded, Spec)
    refuse_test_split(spec)
    assert split_name(spec) == split


@pytest.mark.parametrize("split", ["all", "all[:10%]", "train+all"])
def test_all_splits_joined_may_hold_a_test_split(split: str) -> None:
    spec = DatasetsSpec(data="ag_news", split=split)
    with pytest.raises(RunError, match=facts(split, "test split", "allow_test_split")):
        refuse_test_split(spec)
    assert split_name(spec) == "train"


@pytest.mark.parametrize(
    ("scored", "data", "command"),
    [
        ("/x/reviews.csv", [], "lossrank apply 'a run' -o OUT"),
        ("/x/reviews_test.csv", [], "lossrank apply 'a run' -o OUT --allow-test-split"),
        ("/x/reviews.csv", ["/y/a.csv", "/y/b.csv"], "lossrank apply 'a run' -o OUT --data /y/a.csv --data /y/b.csv"),
        ("/x/reviews.csv", ["/y/test.csv"], "lossrank apply 'a run' -o OUT --data /y/test.csv --allow-test-split"),
    ],
)
def test_the_command_that_publishes_a_run_is_one_that_works(scored: str, data: list[str], command: str) -> None:
    manifest: Any = SimpleNamespace(data=SimpleNamespace(spec=FilesSpec(data=scored)))
    run = RunDirectory(Path("a run"), manifest)
    assert apply_command(run, data) == command
