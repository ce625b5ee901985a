"""A record of any form is a row or no row, whatever the shape of its file; it never ends a run."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer import SourceError
from scorer.data.annotations.base import NotARow, Tally
from scorer.data.annotations.recognise import shape_of
from tests.scorer.data.annotations.helpers import Record, shape
from tests.scorer.data.annotations.test_argilla import classified, feedback, flat, nested
from tests.scorer.data.annotations.test_doccano import exported
from tests.scorer.data.annotations.test_label_studio import annotation, minimal, task
from tests.scorer.data.annotations.test_label_studio import choice as ls_choice
from tests.scorer.data.annotations.test_prodigy import binary, choice

RECORDS: dict[str, Record] = {
    "Prodigy": binary("a", "X", "accept", 1),
    "Prodigy, choice": choice("a", ["OTHER"]),
    "spaCy": {"text": "a", "cats": {"A": 1.0, "B": 0.0}},
    "doccano": exported(1, "World"),
    "lists": {"text": "a", "topics": ["x"]},
    "Label Studio": task(1, annotation(ls_choice("a")), annotation(ls_choice("a"), at=1)),
    "JSON-MIN": minimal(1, "Positive"),
    "Argilla": nested(1, "a", "a"),
    "Argilla, flat": flat(1, ["a", "a"], ["submitted", "submitted"]),
    "Argilla, feedback": feedback(1, [{"user_id": "u", "value": "a", "status": "submitted"}]),
    "Argilla 1": classified(1, "a"),
}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.floats(allow_nan=True)
    | st.sampled_from(["", "a", "accept", "result"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["value", "status", "result", "choices", "text", "type", "values"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return (container, key) of every value in a record, at any depth."""
    keys = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in keys for place in [(value, key), *places(item)]]


@contextmanager
def lines_of(kind: type[Exception], lines: list[str]) -> Iterator[None]:
    """Collect the messages of exceptions of a kind."""
    try:
        yield
    except kind as error:
        lines.append(str(error))


@pytest.mark.parametrize("tool", RECORDS)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_an_odd_record_is_a_row_or_none(tool: str, data: st.DataObject) -> None:
    found = shape([RECORDS[tool]])
    odd = copy.deepcopy(RECORDS[tool])
    for _ in range(data.draw(st.integers(1, 3))):
        if at := places(odd):
            container, key = data.draw(st.sampled_from(at))
            if data.draw(st.booleans()):
                container[key] = data.draw(JSON)
            else:
                del container[key]
    lines: list[str] = []
    for annotators in ("majority", "first", None):
        with suppress(NotARow), lines_of(SourceError, lines):
            row = found.row(odd, annotators, Tally())
            if tool not in ("lists", "JSON-MIN"):
                assert isinstance(row["label"], str | None)
    assert all("different" in line for line in lines)
    for sample in ([odd], [RECORDS[tool]] * 30 + [odd]):
        with lines_of(SourceError, lines):
            shape_of(sample)
    assert all(len(line) <= 335 for line in lines)
