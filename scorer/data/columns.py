"""choose_columns(): find the columns of the text, the label and the id, by the user's names or by guessing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from scorer.data.arrow import is_list, is_text, may_be_text, plain_type
from scorer.errors import SourceError
from scorer.text import nearest, short

# Names as ``plain_name`` returns them, the likeliest first.
_TEXTS = (
    *("text", "sentence", "content", "review", "document", "body", "comment", "tweet", "utterance", "message"),
    *("headline", "title", "question", "reviewtext", "review_text", "comment_text", "article", "abstract"),
)
_PAIRS = (
    ("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"), ("question", "sentence"),
    ("text1", "text2"), ("text_a", "text_b"), ("sentence_a", "sentence_b"), ("sentence_1", "sentence_2"),
)  # fmt: skip
_LABELS = (
    *("label", "labels", "class", "category", "target", "sentiment", "intent", "topic", "stars", "rating", "y"),
    *("coarse_label", "fine_label", "label_coarse", "label_fine", "gold_label", "class_label", "class_index"),
    *("label_text", "label_name", "label_str", "is_duplicate"),
)
_WEAK = frozenset({"title", "headline", "question", "abstract"})  # may be a part of the text, beside another column
_LISTED = 8  # columns in a message
_SHOWN = 30  # characters of a name in a list
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


def plain_name(name: str) -> str:
    """Return a column's name as guesses compare it: in lower case, without blanks around it or a byte-order mark."""
    return "_".join(name.strip("\ufeff").split()).casefold()


def is_known(name: str) -> bool:
    """Return whether a name is one by which a text or label column is guessed."""
    return plain_name(name) in KNOWN


def is_like_label(name: str) -> bool:
    """Return whether a name is one by which a label column is guessed."""
    return plain_name(name) in _LABELS


def choose_columns(
    schema: pa.Schema,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | None = None,
    id: str | None = None,
    *,
    class_labels: Iterable[str] = (),
    unusable: Mapping[str, str] | None = None,
    no_label: bool = False,
) -> Columns:
    """Check the named columns and guess the text and label columns that aren't named; the id is never guessed.

    ``class_labels`` are the ClassLabel columns; if there is exactly one, it is guessed as the label. ``unusable`` tells
    why a column can't be used, as a clause (``Source.unusable``). With ``no_label`` no label is guessed.

    Raises:
        SourceError: a named column is missing; the message suggests the nearest name.
        SourceError: a text column does not contain text, or a label column contains neither text nor numbers.
        SourceError: an id column contains values that can't be ids, or times in a time zone unknown to this system.
        SourceError: no text column was named and none could be guessed, or several columns could be the label.
        SourceError: a column is not usable, because several have its name or a file lacks it.
    """
    if no_label and label is not None:
        raise SourceError("`no_label` and `label_column` contradict each other; give only one of them")
    unusable = unusable or {}
    for name in (text, text_pair, label, id):
        if name is not None and name not in schema.names and name not in unusable:
            raise SourceError(
                f"no column {short(name)!r}{nearest(name, schema.names)}; the columns are: {listed(schema.names)}",
                quotes_data=True,
            )
    # A column that can't be used may be left out of the schema, but what it is called must not make another the guess.
    fields = [*schema, *(pa.field(name, pa.string()) for name in unusable if name not in schema.names)]
    schema = pa.schema(fields)
    guessed = []
    if text is None:
        text, pair = _guess_text(schema, {text_pair, label, None if id in _TEXTS else id})
        guessed.append("text")
        if pair and text_pair is None:
            text_pair = pair
            guessed.append("text_pair")
    if label is None and not no_label:
        label = _guess_label(schema, {text, text_pair}, class_labels)
        guessed.append("label")
    columns = Columns(text, text_pair, label, id, tuple(guessed))
    for name in columns.names():
        if name in unusable:
            raise SourceError(f"column {short(name)!r} can't be used: {unusable[name]}", quotes_data=True)
    for name, keyword in ((text, "text_column"), (text_pair, "text_pair_column")):
        if name is not None and not may_be_text(schema.field(name).type):
            texts = listed(field.name for field in schema if is_text(field.type)) or "none"
            raise SourceError(
                f"column {short(name)!r} has type {schema.field(name).type}, not text; name a column of text with "
                f"`{keyword}` (columns of text: {texts})",
                quotes_data=True,
            )
    if label is not None and not is_label(schema.field(label).type):
        raise SourceError(
            f"column {short(label)!r} has type {schema.field(label).type}; labels are text or whole numbers, one per "
            "row; name another column with `label_column`",
            quotes_data=True,
        )
    if id is not None and not _is_id(schema.field(id).type):
        raise SourceError(
            f"column {short(id)!r} has type {schema.field(id).type}; an id is text, a number or a date; name another "
            "column with `id_column`",
            quotes_data=True,
        )
    if id is not None:
        _refuse_unwritable(id, schema.field(id).type)
    return columns


def listed(names: Iterable[str]) -> str:
    """Return column names as a short list for a message."""
    shown = [name if len(name) <= _SHOWN else name[: _SHOWN - 3] + "..." for name in names]
    return ", ".join(shown[:_LISTED]) + (f" and {len(shown) - _LISTED} more" if len(shown) > _LISTED else "")


def is_label(kind: pa.DataType) -> bool:
    """Return whether a column of this type may hold labels: text, numbers or booleans, or lists of them."""
    if pa.types.is_dictionary(kind):
        return is_label(kind.value_type)
    if is_list(kind):
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
            f"column {short(id)!r} has type {kind}, which can't be written as text ({error}); name another column with "
            "`id_column`, or install the system's time zones",
            quotes_data=True,
        ) from error


def _guess_text(schema: pa.Schema, named: set[str | None]) -> tuple[str, str | None]:
    """Guess the text column, or a pair of text columns, among the columns that have no other use.

    A pair comes first: half a pair would be scored as another text.
    """
    free = {plain_name(name): name for name in reversed(schema.names) if name not in named}
    for first, second in _PAIRS:
        if first in free and second in free:
            return free[first], free[second]
    texts = {plain: name for plain, name in free.items() if may_be_text(schema.field(name).type)}
    for plain in _TEXTS:
        if plain in texts and (plain not in _WEAK or not set(texts) - {plain, *_LABELS}):
            return texts[plain], None
    others = [name for plain, name in reversed(texts.items()) if plain not in _LABELS]
    if len(others) == 1:
        return others[0], None
    what = f"several columns hold text ({listed(others)})" if others else "no column holds text"
    raise SourceError(
        f"{what}; name the column of the texts with `text_column`; the columns are: {listed(schema.names)}",
        quotes_data=True,
    )


def _guess_label(schema: pa.Schema, named: set[str | None], class_labels: Iterable[str]) -> str | None:
    """Guess the label column among the columns that have no other use; None if no column is like one.

    Raises:
        SourceError: several columns could be the label.
    """
    free = [name for name in schema.names if name not in named]
    found = [name for name in free if plain_name(name) in _LABELS]
    found = found or [name for name in free if name in set(class_labels)]
    if len(found) > 1:
        raise SourceError(
            f"several columns could be the label ({listed(found)}); name one with `label_column`, or give `no_label`",
            quotes_data=True,
        )
    return found[0] if found else None
