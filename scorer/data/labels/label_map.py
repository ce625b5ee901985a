"""LabelMap: map the data's labels to the model's class indices, by name.

A model and a data set may number the same classes in different orders; mapping by number would then make whole
classes look wrong (cleanlab #375, #997; optimum #197). So numbers are used as indices only if there are no
names, and then the predictions are checked for signs of another order.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scorer.data.labels.suggest import how_to_map
from scorer.data.labels.values import encoded
from scorer.errors import LabelError
from scorer.text import MISSING, fold, listed, nearest

NO_LABEL = -1
UNKNOWN = -2
BY_GIVEN_MAP = "by the given label map"
_BY_CLASS_NAME = "by class name"
_GENERIC = re.compile(r"label_(\d+)")
_NUMBER = re.compile(r"(-?\d{1,18})(\.0)?")  # pandas turns integers with missing values into floats
_BOOLEANS = {"false": "0", "true": "1"}


@dataclass(frozen=True)
class LabelMap:
    """How the labels of a data set map to class indices.

    ``by_value`` maps a label in the data (name folded, number as text) to a class index, or to UNKNOWN to leave the
    label out, or to NO_LABEL if it means that there is no label; with ``by_number`` whole numbers from 0 to C - 1 are
    class indices; ``how`` describes the map for people; ``check_order`` tells whether predictions must be checked for
    classes in another order.
    """

    class_names: tuple[str, ...]
    by_value: dict[str, int]
    by_number: bool
    how: str
    check_order: bool

    @property
    def is_given(self) -> bool:
        """Whether the user gave the map."""
        return self.how == BY_GIVEN_MAP

    def indices(self, labels: pa.Array) -> tuple[NDArray[np.int32], Counter[str]]:
        """Map labels [n] to class indices [n], NO_LABEL or UNKNOWN, and count the rows of each unknown label."""
        texts, position = encoded(labels)
        known = np.array([self.index_of(text) for text in texts], dtype=np.int32)
        counts = np.bincount(position, minlength=len(texts))
        unknown = Counter[str]()
        for i in np.flatnonzero((known == UNKNOWN) & (counts > 0)).tolist():
            unknown[str(texts[i])] += int(counts[i])
        return known[position], unknown

    def index_of(self, label: str | None) -> int:
        """Return a label's class index; NO_LABEL for null, blanks, ``MISSING`` and -1, UNKNOWN for other labels."""
        if label is None:
            return NO_LABEL
        key = self.key(label)
        if key in self.by_value:
            return self.by_value[key]
        if key in ("", "-1") or label.strip() in MISSING:  # the hub's hidden test splits have -1
            return NO_LABEL
        is_index = self.by_number and _NUMBER.fullmatch(key) and 0 <= int(key) < len(self.class_names)
        return int(key) if is_index else UNKNOWN

    def key(self, label: str) -> str:
        """Return a label folded; a boolean, or a whole number spelt otherwise (``1.0``), becomes a plain number."""
        key = fold(label)
        if key not in self.by_value:
            key = _BOOLEANS.get(key, key)
            if number := _NUMBER.fullmatch(key):
                return str(int(number[1]))
        return key

    @property
    def numbers(self) -> frozenset[int]:
        """The numbers that stand for classes by themselves: indices, or class names that are numbers; else none."""
        if self.how == _BY_CLASS_NAME:
            return frozenset()  # numbers stand for the data's own names
        if self.by_number:
            return frozenset(range(len(self.class_names)))
        names = [_NUMBER.fullmatch(fold(name)) for name in self.class_names]
        return frozenset(int(name[1]) for name in names if name) if all(names) else frozenset()


def number_of(key: str) -> int | None:
    """Return the whole number that a folded label is, None if it is none."""
    number = _NUMBER.fullmatch(key)
    return int(number[1]) if number else None


def make_label_map(
    class_names: tuple[str, ...],
    data_names: tuple[str, ...] | None,
    mapping: Mapping[str, Any] | None = None,
    no_label_value: str | None = None,
) -> LabelMap:
    """Return the map from a data set's labels to a model's classes.

    ``data_names`` are the class names of a ClassLabel column, or None; ``mapping`` maps a label in the data to a class
    name or index, or to None to leave the label out; labels that it doesn't mention are matched by name.
    ``no_label_value`` is a label that means: no label.

    Raises:
        LabelError: the names don't match the model's classes, or ``mapping`` has a class that the model lacks.
        LabelError: ``mapping`` has a label that is none of ``data_names``, or has a label twice.
        LabelError: ``no_label_value`` is a class.
    """
    label_map = _label_map(class_names, data_names, mapping)
    if no_label_value is None:
        return label_map
    key = label_map.key(no_label_value)
    if label_map.index_of(no_label_value) >= 0:
        stands = class_names[label_map.index_of(no_label_value)]
        raise LabelError(
            f"`no_label_value` is {_one(no_label_value)}, which stands for the class {_one(stands)}; give a "
            "label that is no class, or map it to null with `label_map`"
        )
    by_value = label_map.by_value | {key: NO_LABEL}
    return LabelMap(class_names, by_value, label_map.by_number, label_map.how, label_map.check_order)


def _label_map(
    class_names: tuple[str, ...], data_names: tuple[str, ...] | None, mapping: Mapping[str, Any] | None
) -> LabelMap:
    by_name = {fold(name): i for i, name in enumerate(class_names)}
    numeric = any(re.fullmatch(r"-?\d+", name) for name in by_name)
    hidden = {"-1": NO_LABEL} if data_names is not None else {}  # how `datasets` hides the label of a test split
    if mapping is not None:
        given = _given(mapping, class_names)
        known = by_name | given
        behind: dict[str, int] = {}
        if data_names:  # an entry for a class's name also applies to its number
            _refuse_strange(mapping, data_names)
            behind = {str(i): known[fold(n)] for i, n in enumerate(data_names) if fold(n) in known}
        return LabelMap(class_names, by_name | hidden | behind | given, False, BY_GIVEN_MAP, check_order=False)
    if is_generic(class_names):
        # LABEL_0, LABEL_1 ... name nothing but the class indices.
        if data_names is not None and len(data_names) != len(class_names):
            raise LabelError(
                f"the data has {len(data_names)} classes ({listed(data_names)}), but the model has "
                f"{len(class_names)} with placeholder names; map the data's classes with `label_map`; "
                f"{how_to_map(data_names, class_names)}"
            )
        numbers = {fold(name): i for i, name in enumerate(data_names or ())}
        numbers |= {str(i): i for i in range(len(data_names or ()))}  # a number is an index even if names are numbers
        how = "by number: the model's class names are generic"
        return LabelMap(class_names, by_name | hidden | numbers, by_number=True, how=how, check_order=True)
    if data_names is not None:
        missing = [name for name in data_names if fold(name) not in by_name]
        if missing:
            raise LabelError(
                f"the data's class names don't match the model's class names: the model lacks {listed(missing, 70)}; "
                f"it has {listed(class_names, 70)}; map the data's names with `label_map`; "
                f"{how_to_map(missing, class_names)}"
            )
        numbers = {str(i): by_name[fold(name)] for i, name in enumerate(data_names)}
        return LabelMap(class_names, by_name | hidden | numbers, False, _BY_CLASS_NAME, check_order=False)
    how = "by name; numbers as they are"
    return LabelMap(class_names, by_name, by_number=not numeric, how=how, check_order=not numeric)


def is_generic(class_names: tuple[str, ...]) -> bool:
    """Return whether the names are transformers' placeholders, LABEL_0 to LABEL_{C-1} in order."""
    matches = [_GENERIC.fullmatch(fold(name)) for name in class_names]
    return all(match is not None and int(match[1]) == i for i, match in enumerate(matches))


def _one(value: object) -> str:
    """Return a value for a message: a text in quotes, any other as Python writes it, cut if it is long."""
    if isinstance(value, str):
        return listed([value], 50)
    shown = repr(value)
    return shown if len(shown) <= 50 else f"{shown[:47]}..."


def _given(mapping: Mapping[str, Any], class_names: tuple[str, ...]) -> dict[str, int]:
    """Return the class index of each label of a given map, by the label folded."""
    given: dict[str, int] = {}
    for value, target in mapping.items():
        key, index = fold(str(value)), _target(str(value), target, class_names)
        if given.get(key, index) != index:
            raise LabelError(
                f"the label map sends {_one(str(value))} to two classes, spelt in two ways; leave one of them out"
            )
        given[key] = index
    return given


def _refuse_strange(mapping: Mapping[str, Any], data_names: tuple[str, ...]) -> None:
    labels = {fold(label) for label in (*data_names, *map(str, range(-1, len(data_names))))}
    if strange := [value for value in mapping if fold(str(value)) not in labels]:
        raise LabelError(
            f"the label map has {listed(strange)}, which the data lacks; use the data's labels, "
            f"{listed(data_names)}, or their numbers 0 to {len(data_names) - 1}"
        )


def _target(value: str, target: Any, class_names: tuple[str, ...]) -> int:
    if target is None:
        return UNKNOWN
    if isinstance(target, int) and not isinstance(target, bool) and 0 <= target < len(class_names):
        return target
    folded = {fold(name): i for i, name in enumerate(class_names)}
    if isinstance(target, str) and fold(target) in folded:
        return folded[fold(target)]
    classes = f"the model's classes are {listed(class_names, 60)}"
    if target == "":
        raise LabelError(
            f"the label map has no class for {_one(value)} yet; write one of the model's classes, or null to leave "
            f"rows with this label out; {classes}"
        )
    close = nearest(target, list(class_names)) if isinstance(target, str) and len(target) <= 60 else ""
    raise LabelError(
        f"the label map sends {_one(value)} to {_one(target)}, which is no class of the model"
        f"{close if len(close) < 70 else ''}; {classes}"
    )
