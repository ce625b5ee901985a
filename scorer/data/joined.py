"""JoinedText: a text column that is made of several columns of the data, such as a title and a body."""

from collections.abc import Sequence

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from scorer.data.arrow import may_be_text, plain_array
from scorer.data.formats.base import PROBLEM
from scorer.errors import SourceError
from scorer.text import MISSING


class JoinedText(msgspec.Struct, frozen=True):
    """The columns that are joined, in this order, and what is put between two of them.

    A part that is null, empty or a word for no value is left out; a row without any part has no text.
    """

    parts: tuple[str, ...]
    separator: str = " "

    @property
    def name(self) -> str:
        """The name of the joined column: the names of its parts, joined in the same way."""
        return self.separator.join(self.parts)

    def columns_for(self, names: list[str]) -> list[str]:
        """Return the columns to read for ``names``: the parts instead of the joined column."""
        return list(dict.fromkeys([*(name for name in names if name != self.name), *self.parts]))


def joined_text(schema: pa.Schema, parts: Sequence[str], separator: str) -> JoinedText:
    """Return the column that joins ``parts``.

    Raises:
        SourceError: a part is no column of text, is named twice, or a column is called as the joined one would be.
    """
    joined = JoinedText(tuple(parts), separator)
    for name in parts:
        if name not in schema.names:
            raise SourceError(f"no column {name!r} to join", quotes_data=True)
        if not may_be_text(schema.field(name).type):
            raise SourceError(f"column {name!r} has type {schema.field(name).type}, not text", quotes_data=True)
    if len(set(parts)) < len(parts):
        raise SourceError(f"`text_column` names a column twice: {joined.name!r}", quotes_data=True)
    if joined.name in schema.names:
        raise SourceError(f"there is a column {joined.name!r} already; rename it, or give another `join`")
    return joined


def with_joined(batch: pa.RecordBatch, names: list[str], joined: JoinedText) -> pa.RecordBatch:
    """Return the columns ``names`` of a batch [n] that has the parts; the joined column is computed."""
    nothing = pa.array([b"", *(word.encode() for word in sorted(MISSING))], pa.large_binary())
    separator = pa.scalar(joined.separator.encode(), pa.large_binary())
    whole = pa.nulls(len(batch), pa.large_binary())
    for part in joined.parts:
        text = plain_array(batch.column(part)).cast(pa.large_binary())  # may hold bytes that are not UTF-8
        text = pc.if_else(pc.is_in(text, nothing), None, text)
        # With null_handling="skip" pyarrow leaves out rows without any part.
        whole = pc.coalesce(pc.binary_join_element_wise(whole, text, separator), whole, text)
    made = whole.view(pa.large_string())
    kept = [*names, *(name for name in batch.schema.names if name == PROBLEM)]
    return pa.RecordBatch.from_arrays([made if name == joined.name else batch.column(name) for name in kept], kept)
