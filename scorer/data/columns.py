"""choose_columns(): find the columns of the text, the label and the id, by the user's names or by guessing."""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from scorer.data.arrow import is_text, plain_type
from scorer.errors import SourceError
from scorer.text import nearest

_TEXTS = ("text", "sentence", "content", "review", "document", "body", "comment", "headline", "title", "question")
_PAIRS = (("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"), ("text1", "text2"))
_LABELS = ("label", "labels", "class", "category", "target")
KNOWN = frozenset({*_TEXTS, *(name for pair in _PAIRS for name in pair), *_LABELS})


@dataclass(frozen=True)
class Columns:
    """The names of the columns to read; ``guessed`` lists those that the user did not name."""

    text: str
    text_pair: str | None
    label: str | None
    id: str | None
    guessed: tuple[str, ...] = ()

    def names(self) -> list[str]:
        """Return the names of the columns to read, without repeats."""
        return list(dict.fromkeys(name for name in (self.text, self.text_pair, self.label, self.id) if name))

    def to_dict(self) -> dict[str, str | None]:
        return {"text": self.text, "text_pair": self.text_pair, "label": self.label, "id": self.id}


def choose_columns(
    schema: pa.Schema,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | None = None,
    id: str | None = None,
    *,
    class_labels: Iterable[str] = (),
    no_label: bool = False,
) -> Columns:
    """Check the named columns and guess the text and label columns that aren't named; the id is never guessed.

    ``class_labels`` are the ClassLabel columns; if there is exactly one, it is guessed as the label. With ``no_label``
    no label column is guessed.

    Raises:
        SourceError: a named column is missing; the message suggests the nearest name.
        SourceError: a text column does not contain text, or a label column contains neither text nor numbers.
        SourceError: an id column contains values that can't be ids, or times in a time zone unknown to this system.
        SourceError: no text column was named and none could be guessed.
    """
    for name in (text, text_pair, label, id):
        if name is not None and name not in schema.names:
            raise SourceError(
                f"no column {name!r}{nearest(name, schema.names)}; the columns are: {', '.join(schema.names)}",
                quotes_data=True,
            )
    guessed = []
    if text is None:
        text, pair = _guess_text(schema, {text_pair, label, None if id in _TEXTS else id})
        guessed.append("text")
        if pair and text_pair is None:
            text_pair = pair
            guessed.append("text_pair")
    if label is None and not no_label:
        label = next((name for name in _LABELS if name in schema.names and name not in (text, text_pair)), None)
        if label is None and len(known := [name for name in class_labels if name not in (text, text_pair)]) == 1:
            label = known[0]
        guessed.append("label")
    for name, keyword in ((text, "text_column"), (text_pair, "text_pair_column")):
        if name is not None and not is_text(schema.field(name).type):
            texts = ", ".join(field.name for field in schema if is_text(field.type)) or "none"
            raise SourceError(
                f"column {name!r} has type {schema.field(name).type}, not text; name a column of text with `{keyword}` "
                f"(columns of text: {texts})",
                quotes_data=True,
            )
    if label is not None and not is_label(schema.field(label).type):
        raise SourceError(
            f"column {label!r} has type {schema.field(label).type}; labels are text or whole numbers, one per row; "
            "name another column with `label_column`",
            quotes_data=True,
        )
    if id is not None and not _is_id(schema.field(id).type):
        raise SourceError(
            f"column {id!r} has type {schema.field(id).type}; an id is text, a number or a date; name another "
            "column with `id_column`",
            quotes_data=True,
        )
    if id is not None:
        _refuse_unwritable(id, schema.field(id).type)
    return Columns(text, text_pair, label, id, tuple(guessed))


def is_label(kind: pa.DataType) -> bool:
    """Return whether a column of this type may hold labels: text, numbers or booleans, or lists of them."""
    if pa.types.is_dictionary(kind):
        return is_label(kind.value_type)
    if any(test(kind) for test in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)):
        return not pa.types.is_nested(kind.value_type) and is_label(kind.value_type)
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean, pa.types.is_null)
    return is_text(kind) or any(test(kind) for test in tests)


def _is_id(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_id(kind.value_type)
    if pa.types.is_interval(kind):
        return False
    tests = (pa.types.is_primitive, pa.types.is_boolean, pa.types.is_decimal, pa.types.is_null)
    return is_text(kind) or any(test(kind) for test in tests)


def _refuse_unwritable(id: str, kind: pa.DataType) -> None:
    """Raise SourceError if ids can't be written as text, such as times in a time zone unknown to this system."""
    try:
        pa.nulls(1, plain_type(kind)).cast(pa.string())
    except pa.ArrowException as error:
        raise SourceError(
            f"column {id!r} has type {kind}, which can't be written as text ({error}); name another column with "
            "`id_column`, or install the system's time zones",
            quotes_data=True,
        ) from error


def _guess_text(schema: pa.Schema, named: set[str | None]) -> tuple[str, str | None]:
    """Guess the text column, or a pair of text columns, among the columns that have no other use."""
    free = [name for name in schema.names if name not in named]
    texts = [name for name in free if is_text(schema.field(name).type) and name not in _LABELS]
    for name in _TEXTS:
        if name in texts:
            return name, None
    for first, second in _PAIRS:
        if first in free and second in free:
            return first, second
    if len(texts) == 1:
        return texts[0], None
    what = f"several columns hold text ({', '.join(texts)})" if texts else "no column holds text"
    raise SourceError(
        f"{what}; name the column of the texts with `text_column`; the columns are: {', '.join(schema.names)}",
        quotes_data=True,
    )
