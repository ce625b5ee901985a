"""facts: a message that names something else passes no test."""

from pathlib import Path

import pytest

from tests.support.facts import tells


@pytest.mark.parametrize(
    ("message", "fact"),
    [
        ("use 4 threads", 4),
        ("the limit is 4.", 4),
        ("rows 4, 5 and 6", 4),
        ("give --shard-rows", "shard_rows"),
        ("set `SHARD_ROWS=3`", "shard_rows"),
        ("give -o, not a name", "o"),
        ("there is no folder.", "folder"),
        ("/tmp/pytest-of-me/pytest-0/test_run0/a.csv is a folder", "folder"),
        ("/tmp/pytest-of-me/pytest-0/test_run0/a.csv: it is empty", "a.csv"),
        (
            "file:///tmp/pytest-of-me/pytest-0/test_run0/run has changed",
            Path("/tmp/pytest-of-me/pytest-0/test_run0/run"),
        ),
        ("one of .csv, .parquet", ".csv"),
    ],
)
def test_a_fact_that_is_named(message: str, fact: object) -> None:
    assert tells(message, fact)


@pytest.mark.parametrize(
    ("message", "fact"),
    [
        ("4,096 rows, 409 tokens, 0.4, 1.4, 14, x-4, 4-x", 4),
        ("give screen_top or --screen-top", "top"),
        ("give top_prob", "top"),
        ("reviews.csv is gone", "reviews"),
        ("/tmp/pytest-of-me/pytest-0/test_a_folder0/run exists", "run"),
        ("`/tmp/pytest-of-me/pytest-0/folder/x` exists; file:///tmp/pytest-of-me/folder/x too", "folder"),
        ("/tmp/pytest-of-me/pytest-0/test_a0/worst.csv is refused", ".csv"),
        ("/tmp/pytest-of-me/pytest-0/test_a0/run is refused", Path("/tmp/pytest-of-me/pytest-0/test_a0/ru")),
    ],
)
def test_a_fact_that_is_not_named(message: str, fact: object) -> None:
    assert not tells(message, fact)
