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

    ``keys`` tell where a row has these columns: places among its fields, or names.
    """

    def __init__(self, columns: Iterable[tuple[_Key, str]] = ()) -> None:
        self._names: dict[_Key, str] = {}
        self._counts: dict[_Key, Counter[str]] = {}
        self.keys: list[_Key] = []
        self.watched: list[tuple[_Key, Counter[str]]] = []  # each key with its counts
        for key, name in columns:
            self.watch(key, name)

    def watch(self, key: _Key, name: str) -> None:
        """Count a column from now on, if it is called like labels and not counted yet."""
        if key not in self._names and is_like_label(name):
            self._names[key] = name
            self._counts[key] = Counter()
            self.keys.append(key)
            self.watched.append((key, self._counts[key]))

    def add(self, key: _Key, value: str) -> None:
        """Count a value; a column with too many different values is not counted any more."""
        counts = self._counts[key]
        counts[value] += 1
        if len(counts) > _MOST or len(value) > _LONGEST:
            self.drop(key)

    def drop(self, key: _Key) -> None:
        """Leave a column out."""
        self.keys = [other for other in self.keys if other != key]
        self.watched = [(other, counts) for other, counts in self.watched if other != key]
        del self._counts[key]

    def counts(self) -> dict[str, Counter[str]]:
        """Return the counts by the name of the column, with U+FFFD for bytes that are not valid."""
        found: dict[str, Counter[str]] = {}
        for key, counts in self._counts.items():
            valid = found[self._names[key]] = Counter[str]()
            for value, count in counts.items():
                valid[valid_text(text_array([value]))[0].as_py()] += count
        return found
