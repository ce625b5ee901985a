"""Suggest a label map: classes whose names are certainly those of the data's labels, else a file to fill in.

Nothing is matched by position: the data's first label is rarely the model's first class.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from scorer.errors import LabelError
from scorer.files import reporting
from scorer.text import fold, short

_ROOM = 110  # characters of a map in a message
_SEPARATOR = re.compile(r"[\s_\-/.,:;&'\"()]+")
_BETWEEN_DIGITS = re.compile(rf"(?<=\d){_SEPARATOR.pattern}(?=\d)")
_NEGATIVE = re.compile(r"-\d")


def certain(labels: Iterable[str], class_names: tuple[str, ...]) -> dict[str, str]:
    """Return the class of each label whose name is that of one class, but for case, blanks and punctuation."""
    named: dict[str, list[str]] = {}
    for name in class_names:
        named.setdefault(_bare(name), []).append(name)
    found = {label: named.get(_bare(label), []) for label in labels}
    return {label: names[0] for label, names in found.items() if len(names) == 1}


def how_to_map(labels: Iterable[str], class_names: tuple[str, ...]) -> str:
    """Return a clause for an error message: a map of all ``labels``, if it is certain and short, or how to get one."""
    labels = list(labels)
    found = certain(labels, class_names)
    if labels and len(found) == len(labels):
        text = json.dumps(found, ensure_ascii=False)
        if len(text) <= _ROOM:
            return f"this map would fit: {text}"
    return "`write_label_map` writes a file to fill in"


def template(labels: Iterable[str], class_names: tuple[str, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a label map with every label: its class if it is given or certain, else an empty text to fill in."""
    labels = list(labels)
    known = {fold(str(label)): target for label, target in given.items()}
    found = certain(labels, class_names)
    return {label: known.get(fold(label), found.get(label, "")) for label in labels}


def write_template(file: Path, mapping: Mapping[str, Any]) -> None:
    """Write a label map as a JSON file, one label a line.

    Raises:
        LabelError: the file exists.
        RunError: the file can't be written.
    """
    text = json.dumps(mapping, ensure_ascii=False, indent=2) + "\n"
    with reporting(file):
        try:
            with file.open("x", encoding="utf-8") as out:
                out.write(text)
        except FileExistsError:
            raise LabelError(f"{file} exists; give a new file as `write_label_map`") from None


def read_label_map(path: Path) -> dict[str, Any]:
    """Read a label map from a file: a JSON object from a data label to a class name, a class index or null.

    Raises:
        LabelError: the file can't be read, is not JSON, or is anything but such an object with at least one entry.
        LabelError: the object has a label twice.
    """
    try:
        mapping = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=lambda pairs: _once(pairs, path))
    except (OSError, ValueError, RecursionError) as error:
        raise LabelError(
            f"the label map {path} can't be read ({error}); write it as a JSON object of labels and classes"
        ) from error
    if not isinstance(mapping, dict) or not mapping:
        raise LabelError(f'the label map {path} must be a JSON object such as {{"data label": "model class"}}')
    return mapping


def _once(pairs: list[tuple[str, Any]], path: Path) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for label, target in pairs:
        if mapping.get(label, target) != target:
            raise LabelError(f"the label map {path} has {short(label)!r} twice; leave one of the entries out")
        mapping[label] = target
    return mapping


def _bare(name: str) -> str:
    """Return a name folded, without blanks and punctuation; but -1 is not 1, and 1.5 not 15."""
    folded = fold(name)
    sign = "-" if _NEGATIVE.match(folded) else ""
    return sign + _SEPARATOR.sub("", _BETWEEN_DIGITS.sub("~", folded)) or folded
