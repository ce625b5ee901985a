"""LabelMap: map the data's labels to the model's class indices, by name.

A model and a data set may number the same classes in different orders; mapping by number would then make whole
classes look wrong (cleanlab #375, #997; optimum #197). So numbers are used as indices only if there are no
names, and then the predictions are checked for signs of another order.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scorer.data.arrow import valid_text
from scorer.errors import LabelError
from scorer.text import fold, nearest, short

NO_LABEL = -1
UNKNOWN = -2
BY_GIVEN_MAP = "by the given label map"
_GENERIC = re.compile(r"label_(\d+)")
_NUMBER = re.compile(r"(-?\d{1,18})(\.0)?")  # pandas turns integers with missing values into floats
_BOOLEANS = {"false": "0", "true": "1"}
_COMMON = 0.05  # a label with at least this share of a window's rows is a class name, not a typo
_WRONG_WAY = 0.6  # share of a class's rows, predicted as one other class, from which on the class looks permuted
ENOUGH = 10  # the fewest labelled rows of a class from which a share is taken


@dataclass(frozen=True)
class LabelMap:
    """How the labels of a data set map to class indices.

    ``by_value`` maps a label in the data (name folded, number as text) to a class index, or to UNKNOWN to leave the
    label out; with ``by_number`` whole numbers from 0 to C - 1 are class indices; ``how`` describes the map for people;
    ``check_order`` tells whether predictions must be checked for classes in another order.
    """

    class_names: tuple[str, ...]
    by_value: dict[str, int]
    by_number: bool
    how: str
    check_order: bool

    def indices(self, labels: pa.Array) -> tuple[NDArray[np.int32], Counter[str]]:
        """Map labels [n] to class indices [n]; NO_LABEL for null, empty, nan or -1, UNKNOWN for other labels.

        Also returns how often each unknown label occurs.
        """
        encoded = labels if pa.types.is_dictionary(labels.type) else labels.dictionary_encode()
        values = valid_text(encoded.dictionary).to_pylist()
        known = np.array([self._index(value) for value in values] + [NO_LABEL], dtype=np.int32)
        position = encoded.indices.cast(pa.int64()).fill_null(len(values)).to_numpy(zero_copy_only=False)
        index = known[position]
        counts = np.bincount(position, minlength=len(known))
        unknown = Counter[str]()
        for i, value in enumerate(values):
            if known[i] == UNKNOWN and counts[i]:
                unknown[str(value)] += int(counts[i])
        return index, unknown

    def _index(self, value: Any) -> int:
        key = self._key(str(value))
        if value is not None and key in self.by_value:
            return self.by_value[key]
        if value is None or key in ("", "nan", "-1"):  # the hub's hidden test splits have -1
            return NO_LABEL
        is_index = self.by_number and _NUMBER.fullmatch(key) and 0 <= int(key) < len(self.class_names)
        return int(key) if is_index else UNKNOWN

    def _key(self, label: str) -> str:
        """Return a label folded; a boolean, or a whole number spelt otherwise (``1.0``), becomes a plain number."""
        key = fold(label)
        if key not in self.by_value:
            key = _BOOLEANS.get(key, key)
            if number := _NUMBER.fullmatch(key):
                return str(int(number[1]))
        return key

    def require_match(self, index: NDArray[np.int32], unknown: Counter[str]) -> None:
        """Raise LabelError if the model does not know the common labels of the first window.

        Labels that the label map leaves out on purpose are not counted.

        Raises:
            LabelError: the model knows no label, or lacks a label of at least a twentieth of the labelled rows.
        """
        labelled = int(np.count_nonzero(index != NO_LABEL))
        stray = Counter(
            {name: count for name, count in unknown.items() if self.by_value.get(self._key(name)) != UNKNOWN}
        )
        common = [name for name, count in stray.most_common() if count >= _COMMON * labelled]
        if self.by_number and set(common) == {str(len(self.class_names))} and not np.any(index == 0):
            fit = {str(i): name for i, name in enumerate(self.class_names, start=1)}
            raise LabelError(
                f"the data's label numbers seem to count from 1; the model has {_names(self.class_names)}; map the "
                f"numbers with `label_map` (this map would fit: {json.dumps(fit, ensure_ascii=False)})"
            )
        if common or (stray and not np.any(index >= 0)):
            raise LabelError(
                f"the data's labels don't match the model's classes: the model has no class for {_names(stray)}; "
                f"the model's classes are {_names(self.class_names)}; map the labels with `label_map`, "
                'a JSON object such as {"data label": "model class"}'
            )


def make_label_map(
    class_names: tuple[str, ...], data_names: tuple[str, ...] | None, mapping: Mapping[str, Any] | None = None
) -> LabelMap:
    """Return the map from a data set's labels to a model's classes.

    ``data_names`` are the class names of a ClassLabel column, or None; ``mapping`` maps a label in the data to a class
    name or index, or to None to leave the label out; labels that it doesn't mention are matched by name.

    Raises:
        LabelError: the names don't match the model's classes, or ``mapping`` has a class that the model lacks.
        LabelError: ``mapping`` has a label that is none of ``data_names``.
    """
    by_name = {fold(name): i for i, name in enumerate(class_names)}
    numeric = any(re.fullmatch(r"-?\d+", name) for name in by_name)
    if mapping is not None:
        by_value = {fold(str(value)): _target(value, target, class_names) for value, target in mapping.items()}
        known = by_name | by_value
        behind: dict[str, int] = {}
        if data_names:  # an entry for a class's name also applies to its number
            labels = {fold(label) for label in (*data_names, *map(str, range(-1, len(data_names))))}
            if strange := [value for value in mapping if fold(str(value)) not in labels]:
                raise LabelError(
                    f"the label map has {_names(strange)}, which the data lacks; use the data's labels, "
                    f"{_names(data_names)}, or their numbers 0 to {len(data_names) - 1}"
                )
            behind = {str(i): known[fold(n)] for i, n in enumerate(data_names) if fold(n) in known}
        by_value = by_name | behind | by_value
        return LabelMap(class_names, by_value, by_number=False, how=BY_GIVEN_MAP, check_order=False)
    if is_generic(class_names):
        # LABEL_0, LABEL_1 ... name nothing but the class indices.
        if data_names is not None and len(data_names) != len(class_names):
            raise LabelError(
                f"the data has {len(data_names)} classes ({_names(data_names)}), but the model has "
                f"{len(class_names)} with placeholder names; map the data's classes with `label_map`"
            )
        numbers = {fold(name): i for i, name in enumerate(data_names or ())}
        numbers |= {str(i): i for i in range(len(data_names or ()))}  # a number is an index even if names are numbers
        how = "by number: the model's class names are generic"
        return LabelMap(class_names, by_name | numbers, by_number=True, how=how, check_order=True)
    if data_names is not None:
        missing = [name for name in data_names if fold(name) not in by_name]
        if missing:
            raise LabelError(
                f"the data's class names don't match the model's class names: the data has "
                f"{_names(data_names)}; the model has {_names(class_names)}; map the data's names with "
                "`label_map`, a JSON object such as " + json.dumps({missing[0]: class_names[0]}, ensure_ascii=False)
            )
        numbers = {str(i): by_name[fold(name)] for i, name in enumerate(data_names)}
        return LabelMap(class_names, by_name | numbers | {"-1": NO_LABEL}, False, "by class name", check_order=False)
    how = "by name; numbers as they are"
    return LabelMap(class_names, by_name, by_number=not numeric, how=how, check_order=not numeric)


def read_label_map(path: Path) -> dict[str, Any]:
    """Read a label map from a file: a JSON object from a data label to a class name, a class index or null.

    Raises:
        LabelError: the file can't be read, is not JSON, or is anything but such an object with at least one entry.
    """
    try:
        mapping = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LabelError(
            f"the label map {path} can't be read ({error}); write it as a JSON object of labels and classes"
        ) from error
    if not isinstance(mapping, dict) or not mapping:
        raise LabelError(f'the label map {path} must be a JSON object such as {{"data label": "model class"}}')
    return mapping


def refuse_permutation(confusion: NDArray[np.int64], label_map: LabelMap) -> None:
    """Raise LabelError if numbered labels look like the model's classes in another order.

    ``confusion`` [C, C] counts given labels (rows) against predicted ones (columns). The labels look permuted if at
    least two classes each have a share ``_WRONG_WAY`` of their rows predicted as one other class, and no two classes
    have the same predicted class.

    Raises:
        LabelError: the labels look permuted; the message has a label map that would fit.
    """
    if not label_map.check_order:
        return
    totals = confusion.sum(axis=1)
    seen = np.flatnonzero(totals >= ENOUGH)
    goes_to = confusion.argmax(axis=1)
    moved = [int(i) for i in seen if goes_to[i] != i and confusion[i, goes_to[i]] >= _WRONG_WAY * totals[i]]
    if len(moved) < 2 or len(set(goes_to[seen].tolist())) < len(seen):
        return
    names = label_map.class_names
    moves = ", ".join(f"{i} -> {int(goes_to[i])} {names[goes_to[i]]!r}" for i in moved)
    fit = json.dumps({str(int(i)): names[goes_to[i]] for i in seen}, ensure_ascii=False)
    raise LabelError(
        "the data's label numbers look like the model's classes in another order: most rows of a label "
        f"are predicted as another class ({moves}); the model's order is {_names(names)}; "
        f"pass the data's label order with `label_map` (this map would fit: {fit})"
    )


def is_generic(class_names: tuple[str, ...]) -> bool:
    """Return whether the names are transformers' placeholders, LABEL_0 to LABEL_{C-1} in order."""
    matches = [_GENERIC.fullmatch(fold(name)) for name in class_names]
    return all(match is not None and int(match[1]) == i for i, match in enumerate(matches))


def _target(value: str, target: Any, class_names: tuple[str, ...]) -> int:
    if target is None:
        return UNKNOWN
    if isinstance(target, int) and not isinstance(target, bool) and 0 <= target < len(class_names):
        return target
    folded = {fold(name): i for i, name in enumerate(class_names)}
    if isinstance(target, str) and fold(target) in folded:
        return folded[fold(target)]
    raise LabelError(
        f"the label map sends {value!r} to {target!r}, which is no class of the model"
        f"{nearest(str(target), list(class_names))}; the model's classes are {_names(class_names)}"
    )


def _names(names: Any, most: int = 20) -> str:
    listed = [repr(short(name)) for name in names]
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")
