"""LabelTally: count the values of likely label columns while the rows of a text file are counted, to save a pass."""

from collections import Counter
from collections.abc import Iterable
from typing import Generic, TypeVar

from scorer.data.arrow import text_array, valid_text
from scorer.data.columns import is_like_label

_MOST = 20_000  # different values of a column; with more it is no label column
_LONGEST = 500  # characters of a value; a longer one is no label
_Key = TypeVar("_Key", int, str)


class LabelTally(Generic[_Key]):
    """The counts of the values in the columns that are called like labels.

    ``watched`` has each column's counts so far, by where a row has the column: its place among the fields, or its name.
    """

    def __init__(self, columns: Iterable[tuple[_Key, str]] = ()) -> None:
        self._names: dict[_Key, str] = {}
        self.watched: dict[_Key, Counter[str]] = {}
        for key, name in columns:
            self.watch(key, name)

    def watch(self, key: _Key, name: str) -> None:
        """Count a column from now on, if it is called like labels and was not counted before."""
        if key not in self._names and is_like_label(name):
            self._names[key] = name
            self.watched = {**self.watched, key: Counter()}

    def add(self, key: _Key, value: str) -> None:
        """Count a value; a column with too many different values is not counted any more."""
        counts = self.watched[key]
        counts[value] += 1
        if len(counts) > _MOST or len(value) > _LONGEST:
            self.drop(key)

    def drop(self, key: _Key) -> None:
        """Leave a column out."""
        self.watched = {other: counts for other, counts in self.watched.items() if other != key}  # may be iterated over

    def counts(self) -> dict[str, Counter[str]]:
        """Return the counts by the name of the column, with U+FFFD for bytes that are not valid."""
        found: dict[str, Counter[str]] = {}
        for key, counts in self.watched.items():
            valid = found[self._names[key]] = Counter[str]()
            for value, count in counts.items():
                valid[valid_text(text_array([value]))[0].as_py()] += count
        return found
