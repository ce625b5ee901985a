"""Tally: which tasks got different labels in different records."""

import pytest

from scorer.data.annotations.base import Tally


@pytest.mark.parametrize(
    ("answers", "contradicted"),
    [
        ([], 0),
        ([("t1", "a")], 0),
        ([("t1", "a"), ("t2", "b"), ("t1", "a")], 0),
        ([("t1", "a"), ("t2", "b"), ("t1", "b")], 1),
        ([("t1", "a"), ("t1", "b"), ("t1", "c"), ("t1", "a"), (2, "b"), (2, "c"), (3, "c")], 2),
    ],
)
def test_contradicted(answers: list[tuple[object, str]], contradicted: int) -> None:
    tally = Tally()
    for task, label in answers:
        tally.labelled(task, label)
    assert tally.contradicted == contradicted
