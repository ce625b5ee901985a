"""Which split data are is known by the names of splits, files and folders."""

from typing import Any

import pytest

from cli.publish.split import refuse_test_split, split_name
from scorer import RunError


@pytest.mark.parametrize(
    ("spec", "split"),
    [
        ({"data": "ag_news", "split": "test"}, "test"),
        ({"data": "ag_news", "split": "test[:10%]"}, "test"),
        ({"data": "ag_news", "split": "train+test"}, "train"),
        ({"data": "/x/ag_news_test.parquet"}, "test"),
        ({"data": "/x/Test"}, "test"),
        ({"data": "/x", "files": [{"file": "/x/data/test-00000-of-00001.parquet"}]}, "test"),
        ({"data": "/x", "files": [{"file": "/x/test/a.parquet"}]}, "test"),
        ({"data": "hf://datasets/u/n/data/test-*.parquet"}, "test"),
        ({"data": ["/x/train.csv", "/x/my.test.csv"]}, "train"),
        ({"data": ["/x/test.csv", "/x/train.csv"]}, "train"),
        ({"data": "/x/reviews_test/*.csv", "files": [{"file": "/x/reviews_test/a.csv"}]}, "test"),
        ({"data": ["/x/ag-Test/a.csv"], "files": [{"file": "/x/ag-Test/a.csv"}]}, "test"),
        ({"data": "/x/test_data/*.csv", "patterns": ["test_data/*.csv"]}, "test"),
        ({"data": "/x/reviews_test/2024/*.csv", "patterns": ["reviews_test/2024/*.csv"]}, "test"),
        ({"data": "/x/train/*/test/*.csv", "patterns": ["train/*/test/*.csv"]}, "test"),
    ],
)
def test_a_test_split_is_known_by_its_names(spec: dict[str, Any], split: str) -> None:
    with pytest.raises(RunError, match="is a test split: correcting it changes what every score on it means"):
        refuse_test_split(spec)
    assert split_name(spec) == split


@pytest.mark.parametrize(
    ("spec", "split"),
    [
        ({"data": "ag_news", "split": "train"}, "train"),
        ({"data": "/x/contest-latest.parquet", "files": [{"file": "/x/contest-latest.parquet"}]}, "train"),
        ({"data": "/tests/run_1/reviews.csv", "files": [{"file": "/tests/test_7/reviews.csv"}]}, "train"),
        ({"data": "/home/me/test/train.csv", "files": [{"file": "/home/me/test/train.csv"}]}, "train"),
        ({"data": "/tmp/test_it0/*.csv", "files": [{"file": "/tmp/test_it0/a.csv"}]}, "train"),
        ({"data": "/me/test/reviews/*.csv", "files": [{"file": "/me/test/reviews/a.csv"}]}, "train"),
        ({"data": "/test/x/*.csv", "patterns": ["x/*.csv"], "files": [{"file": "/test/x/a.csv"}]}, "train"),
        ({"data": "/x/test/train/*.csv", "patterns": ["test/train/*.csv"]}, "train"),
        ({"data": "/x/latest/*.csv", "patterns": ["latest/*.csv"]}, "train"),
        ({"data": "/x/reviews-dev.csv"}, "validation"),
        ({"data": "ag_news", "split": "validation[:5]"}, "validation"),
        ({"kind": "table"}, "train"),
    ],
)
def test_other_data_are_no_test_split(spec: dict[str, Any], split: str) -> None:
    refuse_test_split(spec)
    assert split_name(spec) == split
