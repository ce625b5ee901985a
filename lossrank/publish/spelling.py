"""Find how the data's label column spells each class; its numbers and words may differ from the model's."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from lossrank.publish.survey import Survey, dictionary_type, is_text_source, joined_values
from scorer import RunDirectory, RunError, Source
from scorer.data.arrow import is_list, is_text, plain_type
from scorer.text import fold, short

_NUMBER = re.compile(r"-?\d+(\.0)?")
_TRUTH = {0: False, 1: True}
_BOOLEANS = {"false": "0", "true": "1"}  # a label map spells booleans as words


@dataclass(frozen=True)
class Spelling:
    """The label column of the corrected data set.

    ``type`` is the column's type in the corrected data set, ``read_type`` the type in which the column is read.
    ``values`` maps each class that rows were relabelled to to the value, of type ``read_type``, that spells it.
    ``class_labels`` are the names of a ClassLabel column in the data's order, added names last; None for any other
    column. ``dictionary`` has the values of a dictionary-encoded column in the data's order, added values last; None
    for any other column. ``notes`` tell which names were added.
    """

    type: pa.DataType
    read_type: pa.DataType
    values: Mapping[str, object]
    class_labels: tuple[str, ...] | None
    dictionary: pa.Array | None = None
    notes: tuple[str, ...] = ()


def spell(run: RunDirectory, source: Source, survey: Survey, wanted: Iterable[str]) -> Spelling:
    """Find how the data spells the ``wanted`` classes.

    A class is spelled with its most frequent spelling in the data. A class that no row of the data has is spelled with
    its name, or with its number if the label column has numbers.

    Raises:
        RunError: no row of the data has a class, and the label column can't spell it.
        RunError: the label column has lists.
    """
    column = run.columns.label
    if column is None or pa.types.is_null(source.schema.field(column).type):
        return Spelling(pa.string(), pa.string(), {name: name for name in wanted}, None)
    kind = survey.types[column]
    if is_list(listed := source.schema.field(column).type):
        if wanted := list(wanted):
            raise RunError(
                f"rows were relabelled, but column {short(column)!r} has lists of labels ({listed}), which are not "
                "rewritten; replace each list by its element (pandas: data[column].str[0]) and score that",
                quotes_data=True,
            )
        return Spelling(kind, kind, {}, None)
    read_type = pa.string() if is_text_source(source) else plain_type(kind)
    names = None if is_text(plain_type(kind)) else source.label_names.get(column)
    speller = _Speller(run, column, plain_type(kind), survey.spellings, names)
    values = {name: _as_read(speller.value(name), read_type, column, name) for name in wanted}
    dictionary = survey.dictionary
    if dictionary is not None:
        dictionary = joined_values(dictionary, pa.array(values.values(), read_type))
        kind = dictionary_type(kind, dictionary)
    class_labels = None if names is None else tuple(speller.names)
    return Spelling(kind, read_type, values, class_labels, dictionary, tuple(speller.notes))


class _Speller:
    """Finds the spelling of one class at a time; ``names`` are a ClassLabel's names, where missing ones are added."""

    def __init__(
        self,
        run: RunDirectory,
        column: str,
        kind: pa.DataType,
        found: Mapping[int, Counter[object]],
        names: tuple[str, ...] | None,
    ) -> None:
        self._column, self._kind, self._found = column, kind, found
        self._map: dict[str, int] = run.manifest.labels.map if run.manifest.labels else {}
        self._index = {name: i for i, name in enumerate(run.class_names)}
        self._has_names = names is not None
        self.names = list(names or ())
        self.notes: list[str] = []

    def value(self, name: str) -> object:
        index = self._index[name]
        if index in self._found:
            return self._found[index].most_common(1)[0][0]
        if self._has_names:
            return self._position(name, index)
        words = [str(word) for counted in self._found.values() for word in counted]
        if is_text(self._kind) and not (words and all(map(_NUMBER.fullmatch, words))):
            return name
        number = self._number(index)
        if number is None or (pa.types.is_boolean(self._kind) and number not in _TRUTH):
            raise RunError(
                f"rows were relabelled to {name!r}, which no row of the data has, so its value in column "
                f"{self._column!r} ({self._kind}) is unknown; score again with a `label_map` that has this class"
            )
        return _TRUTH[number] if pa.types.is_boolean(self._kind) else number

    def _position(self, name: str, index: int) -> int:
        """Return the index, in a ClassLabel's names, of a class that no row has; a missing name is added."""
        for place, known in enumerate(self.names):
            if self._map.get(str(place), self._map.get(fold(known))) == index:
                return place
        if name in self.names:
            raise RunError(
                f"rows were relabelled to {name!r}, but the run's label map maps the data's class of that name to "
                "another class; score again with a `label_map` that has a label for it"
            )
        self.names.append(name)
        self.notes.append(f"{name!r} is not a class of the data, so it was added as the last name of {self._column!r}")
        return len(self.names) - 1

    def _number(self, index: int) -> int | None:
        """Return the label map's number for a class or None; if the map has no numbers at all, the model's index."""
        words = {_BOOLEANS.get(word, word): to for word, to in self._map.items()}
        numbers = {int(float(word)): to for word, to in words.items() if _NUMBER.fullmatch(word)}
        if numbers:
            return next((number for number, to in numbers.items() if to == index), None)
        return index


def _as_read(value: object, kind: pa.DataType, column: str, name: str) -> object:
    """Return the value converted to the type in which the column is read.

    Raises:
        RunError: the type can't hold the value.
    """
    if is_text(kind):
        return str(value).lower() if isinstance(value, bool) else str(value)
    try:
        return pa.scalar(value, kind).as_py()
    except (pa.ArrowException, OverflowError, ValueError) as error:
        raise RunError(
            f"column {column!r} ({kind}) can't hold {value!r}, which stands for the class {name!r}"
        ) from error
