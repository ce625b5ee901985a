"""Check the labels of a data set against the model's classes: all of them at once, and their order by predictions."""

import json
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from scorer.data.labels.confusion import Confusion
from scorer.data.labels.label_map import NO_LABEL, UNKNOWN, LabelMap, number_of
from scorer.data.labels.suggest import how_to_map
from scorer.errors import LabelError
from scorer.text import listed, short

_MOST_UNKNOWN = 0.05  # share of the labelled rows whose labels the model may lack
_WRONG_WAY = 0.6  # share of a class's rows, predicted as one other class, from which on the class looks permuted
ENOUGH = 10  # the fewest labelled rows of a class from which a share is taken
_MAP_ROOM = 90  # characters of a map in a message
_LONGEST = 380  # characters of a message; options are longer than keywords
_TO_FILL_IN = "`write_label_map` writes a file to fill in"


@dataclass(frozen=True)
class CheckedLabels:
    """The labels of a data set that fit the model.

    ``present`` [C] tells which classes rows are labelled with; ``notes`` tell how labels were read that could be read
    otherwise. ``by_name`` says whether the labels are names, not numbers.
    """

    present: NDArray[np.bool_]
    notes: tuple[str, ...] = ()
    by_name: bool = False


class _Labels:
    """The labels of a data set by their meaning: those of classes, unknown ones, and the rows with -1 as no label."""

    def __init__(self, counts: Counter[str], label_map: LabelMap) -> None:
        self.known, self.stray = Counter[str](), Counter[str]()
        self.classes: set[int] = set()
        self.hidden = 0
        for label, count in counts.items():
            index, key = label_map.index_of(label), label_map.key(label)
            number = number_of(key)
            shown = label if number is None else str(number)
            if index >= 0:
                self.known[shown] += count
                self.classes.add(index)
            elif index == UNKNOWN and key not in label_map.by_value:  # the others are left out on purpose
                self.stray[shown] += count
            elif key == "-1" and index == NO_LABEL and key not in label_map.by_value:
                self.hidden += count
        keys = [number_of(label_map.key(label)) for label in (*self.known, *self.stray)]
        self.numbers = {key for key in keys if key is not None}
        self.has_names = any(number_of(label_map.key(label)) is None for label in self.known)


def check_labels(counts: Counter[str], label_map: LabelMap) -> CheckedLabels:
    """Return what the labels of all rows are; ``counts`` has the rows of each label.

    Raises:
        LabelError: a given map does not mention a label that is no class's name.
        LabelError: -1 may be a class or mean that there is no label.
        LabelError: the labels are numbers that count from another number than the model's classes.
        LabelError: the model knows no label, or lacks those of more than a twentieth of the labelled rows.
    """
    labels = _Labels(counts, label_map)
    if label_map.is_given:
        _refuse_unmentioned(labels, label_map)
    else:
        _refuse_unclear_minus_one(labels, label_map)
        _refuse_shifted(labels, label_map)
        _refuse_unknown(labels, label_map)
    present = np.zeros(len(label_map.class_names), dtype=np.bool_)
    present[list(labels.classes)] = True
    notes = (f"-1 is read as no label ({labels.hidden:,} rows)",) if labels.hidden else ()
    return CheckedLabels(present, notes, labels.has_names)


def _refuse_unmentioned(labels: _Labels, label_map: LabelMap) -> None:
    left = Counter(labels.stray)
    if labels.hidden and len(labels.classes) < len(label_map.class_names):
        left["-1"] = labels.hidden
    if left:
        raise LabelError(
            f"the label map does not mention {len(left):,} label(s) of the data, with {left.total():,} rows: "
            f"{_by_rows(left)}; the model's classes are {listed(label_map.class_names, 70)}; add each label to "
            f"`label_map`, with null to leave its rows out ({_TO_FILL_IN})"
        )


def _refuse_unclear_minus_one(labels: _Labels, label_map: LabelMap) -> None:
    """Raise LabelError if -1 may be the first class of numbers that begin with it, and not the lack of a label."""
    classes, numbers = len(label_map.class_names), labels.numbers
    if not labels.hidden or not numbers or label_map.numbers != set(range(classes)):
        return
    is_complete = set(range(classes)) <= numbers
    has_more = classes > 2 and classes - 1 in numbers  # with -1 there would be more classes than the model's
    if min(numbers) >= 0 and (is_complete or has_more):
        return
    raise LabelError(
        f"-1 may be a class or mean no label: the data's label numbers are -1, {_shown(numbers)}, the model's classes "
        f"0 to {classes - 1} ({listed(label_map.class_names, 60)}); if it means no label, say so with "
        f"`no_label_value='-1'`, else say which class each number is with `label_map` ({_TO_FILL_IN})"
    )


def _refuse_shifted(labels: _Labels, label_map: LabelMap) -> None:
    """Raise LabelError if the labels are numbers one above or below the model's, such as 1 to C for 0 to C - 1."""
    ours, theirs = label_map.numbers, labels.numbers
    if not ours or labels.has_names or not theirs or theirs <= ours:
        return
    for step in (1, -1):
        if theirs <= {number + step for number in ours}:
            raise LabelError(
                f"the data's label numbers ({_shown(theirs)}) seem to count from {min(ours) + step}, but the model's "
                f"classes are {min(ours)} to {max(ours)} ({listed(label_map.class_names, 70)}); say which class each "
                f"number is with `label_map` ({_TO_FILL_IN})"
            )


def _refuse_unknown(labels: _Labels, label_map: LabelMap) -> None:
    stray, total = labels.stray.total(), labels.stray.total() + labels.known.total()
    if stray and (not labels.known or stray > _MOST_UNKNOWN * total):
        raise LabelError(
            _with_map(
                f"the labels don't match the model, which has no class for {stray:,} of {total:,} labels: "
                f"{_by_rows(labels.stray)}; the model's classes are {listed(label_map.class_names, 46)}; map them with "
                "`label_map` ({}), or leave labels out with `no_label=True`",
                how_to_map(labels.stray, label_map.class_names),
            )
        )


def refuse_permutation(
    confusion: Confusion,
    label_map: LabelMap,
    present: NDArray[np.bool_] | None = None,
    by_name: bool = False,
) -> None:
    """Raise LabelError if labels look like the model's classes in another order.

    ``confusion`` [C, C] counts given labels against predicted ones. The labels look permuted if at
    least two classes each have a share ``_WRONG_WAY`` of their rows predicted as one other class, more than chance
    makes of equal shares, and no two classes have the same predicted class. ``present`` [C] are the classes that the
    data has; all if it is None. ``by_name`` says whether the data's labels are the classes' names, not numbers.

    Raises:
        LabelError: the labels look permuted; the message has a label map that would fit, if every class is known.
    """
    if not label_map.check_order:
        return
    totals = confusion.given
    seen = np.flatnonzero(totals >= ENOUGH)
    goes_to, most = confusion.most_predicted()
    lead = most[seen] - confusion.diagonal()[seen]
    is_wrong = most[seen] >= _WRONG_WAY * totals[seen]
    moved = seen[(goes_to[seen] != seen) & is_wrong & (lead >= 2 * np.sqrt(totals[seen]))].tolist()
    if len(moved) < 2 or len(set(goes_to[seen].tolist())) < len(seen):
        return
    names = label_map.class_names
    keys = list(names) if by_name else list(map(str, range(len(names))))
    target = [f"{listed([name], 40)}" if by_name else f"{i} {listed([name], 40)}" for i, name in enumerate(names)]
    moves = [f"{short(keys[i])} -> {target[goes_to[i]]}" for i in moved]
    whole = np.ones(len(names), dtype=np.bool_) if present is None else present
    fit = json.dumps({keys[i]: names[goes_to[i]] for i in seen}, ensure_ascii=False)
    is_whole = set(np.flatnonzero(whole).tolist()) <= set(seen.tolist()) and len(fit) <= _MAP_ROOM
    how = f"this map would fit: {fit}" if is_whole else _TO_FILL_IN
    raise LabelError(
        _with_map(
            f"the {'labels' if by_name else 'label numbers'} look like the model's classes in another order: most rows "
            f"of a label are predicted as another class ({_joined(moves, 60)}); the model's order is "
            f"{listed(names, 50)}; map the {'labels' if by_name else 'numbers'} with `label_map` ({{}})",
            how,
        )
    )


def _with_map(message: str, how: str) -> str:
    """Return a message with a map in place of ``{}`` or, if it would be too long, how to get one."""
    whole = message.replace("({})", f"({how})")
    return whole if len(whole) <= _LONGEST else message.replace("({})", f"({_TO_FILL_IN})")


def _by_rows(labels: Counter[str]) -> str:
    return listed([label for label, _ in labels.most_common()], 70)


def _shown(numbers: set[int]) -> str:
    """Return numbers in order, the middle ones left out if they are many."""
    found = list(map(str, sorted(numbers)))
    if sum(map(len, found)) <= 30:
        return ", ".join(found)
    return f"{short(found[0])}, {short(found[1])}, ..., {short(found[-1])}"


def _joined(parts: list[str], room: int) -> str:
    kept = parts[: max(1, sum(end <= room for end in accumulate(map(len, parts))))]
    return ", ".join(kept) + (f" and {len(parts) - len(kept)} more" if len(kept) < len(parts) else "")
