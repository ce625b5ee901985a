"""The labels that rows have in the data."""

from pathlib import Path

import pyarrow as pa
import pytest

from scorer import RunDirectory, RunError
from scorer.audit.given import given_labels
from tests.support.facts import facts
from tests.support.tiny import CLASSES


def test_given_labels_are_the_rows_class_names_whatever_shard_they_are_in(run: Path, rows: pa.Table) -> None:
    wanted = [999, 0, 512, 3, 3]
    expected = {row: CLASSES[rows["label"][row].as_py()] for row in wanted}
    assert given_labels(RunDirectory.open(run), wanted) == expected
    assert given_labels(RunDirectory.open(run), []) == {}


def test_a_row_that_is_not_there_is_refused(run: Path) -> None:
    with pytest.raises(RunError, match=facts("1000", "0 to 999")):
        given_labels(RunDirectory.open(run), [1, 1000])
