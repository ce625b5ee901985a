"""The content of rows: a number that is equal for the same rows, whichever file or table they come from.

It is the sum modulo 2**256 of a SHA-256 for each row, over the row's number, text, second text, label and id. Windows
and shards of any size, in any order, add up to it (AdHash: Bellare and Micciancio, A New Paradigm for Collision-free
Hashing, 1997). Values count, not their types:

- a text is its UTF-8; null is the empty text, and bytes that aren't UTF-8 are U+FFFD;
- a label or an id is its text: a number is spelt in one way (2, ``2``, 2.0 and ``2.0`` are alike), and so are a time
  and a boolean; null, the empty text and nan are alike; a label in a list of its own, also as JSON, is the label.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from hashlib import sha256
from itertools import pairwise
from struct import iter_unpack

import numpy as np
import pyarrow as pa

from scorer.data.arrow import is_text, plain_array, valid_text
from scorer.data.labels.values import json_elements, single_labels
from scorer.errors import LabelError, SourceError
from scorer.run.schema import TEXT_HASH

_MODULUS = 1 << 256
_ROWS = 4096  # rows hashed at a time
_WHOLE = re.compile(r"0|-?[1-9][0-9]*")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-][0-9]{1,2})?", re.IGNORECASE)
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]([0-9:]{8})(\.[0-9]+)?(Z|[+-][0-9]{2}:?[0-9]{2})?")
_FIRST = frozenset("-0123456789")  # the first character of a number or a time
_Bytes = Sequence[bytes | memoryview]


def content_of(batch: pa.RecordBatch, first_row: int, columns: Mapping[str, str | None]) -> int:
    """Return the content of consecutive rows of the data, the first of which has the number ``first_row``.

    ``columns`` names the columns of the text, the text pair, the label and the id, as ``RunColumns.to_dict`` does. The
    contents of several ranges of rows add up; ``digits`` reduces the sum.

    Raises:
        SourceError: a column holds lists or other values that have no text.
    """
    return sum(_content(fields, start) for start, fields in _pieces(batch, first_row, columns))


def content_and_hashes(
    batch: pa.RecordBatch, first_row: int, columns: Mapping[str, str | None]
) -> tuple[int, pa.FixedSizeBinaryArray]:
    """Return what ``content_of`` and ``text_hashes`` return, and take each text's bytes once.

    Raises:
        SourceError: a column holds lists or other values that have no text.
    """
    total, hashes = 0, []
    for start, fields in _pieces(batch, first_row, columns):
        total += _content(fields, start)
        hashes.append(_hashes(fields["text"], fields["text_pair"]))
    return total, _hash_array(hashes)


def text_hashes(batch: pa.RecordBatch, text: str, text_pair: str | None) -> pa.FixedSizeBinaryArray:
    """Return a hash of each row's text, and of its text pair if there is one, [n] of 16 bytes: half a SHA-256.

    Two different texts among a billion rows have the same hash with a probability of 1e-20.

    Raises:
        SourceError: a column holds lists or other values that have no text.
    """
    columns = {"text": text, "text_pair": text_pair}
    return _hash_array([_hashes(fields["text"], fields["text_pair"]) for _, fields in _pieces(batch, 0, columns)])


def digits(content: int) -> str:
    """Return a content, or a sum of contents, as 64 hexadecimal digits."""
    return f"{content % _MODULUS:064x}"


def _pieces(
    batch: pa.RecordBatch, first_row: int, columns: Mapping[str, str | None]
) -> Iterator[tuple[int, dict[str, _Bytes | None]]]:
    """Yield a few rows at a time: the number of the first, and the bytes [n] of each field, None for no column."""
    for start in range(0, len(batch), _ROWS):
        rows = batch.slice(start, _ROWS)
        yield first_row + start, {role: _field(rows, role, name) if name else None for role, name in columns.items()}


def _content(fields: Mapping[str, _Bytes | None], first_row: int) -> int:
    """Return the sum of the hashes of consecutive rows."""
    known = {i: field for i, field in enumerate(fields.values(), start=1) if field is not None}
    n = len(next(iter(known.values())))
    head = np.zeros((n, 1 + len(fields)), "<i8")  # each row's number and the lengths of its fields
    head[:, 0] = np.arange(first_row, first_row + n)
    for i, field in known.items():
        head[:, i] = list(map(len, field))
    heads = (packed for (packed,) in iter_unpack(f"{head.strides[0]}s", head.tobytes()))
    digests = [sha256(row).digest() for row in map(b"".join, zip(heads, *known.values(), strict=True))]
    words = np.frombuffer(b"".join(digests), "<u4").reshape(-1, 8).sum(axis=0, dtype=np.uint64).tolist()
    return sum(word << (32 * i) for i, word in enumerate(words))


def _hashes(texts: _Bytes | None, pairs: _Bytes | None) -> bytes:
    """Return the joined hashes of texts, and of their pairs if there are any."""
    texts = texts or []
    if pairs is not None:
        texts = [b"".join((len(one).to_bytes(8), one, other)) for one, other in zip(texts, pairs, strict=True)]
    return b"".join([sha256(text).digest()[:TEXT_HASH] for text in texts])


def _hash_array(hashes: list[bytes]) -> pa.FixedSizeBinaryArray:
    joined = b"".join(hashes)
    # pa.array() would import pandas.
    return pa.Array.from_buffers(pa.binary(TEXT_HASH), len(joined) // TEXT_HASH, [None, pa.py_buffer(joined)])


def _field(rows: pa.RecordBatch, role: str, name: str) -> _Bytes:
    """Return the bytes of one field of each row [n].

    Raises:
        SourceError: the column's values have no text.
    """
    column = rows.column(name)
    try:
        if role.startswith("text") and is_text(column.type):
            return _texts(column)
        if role == "label":
            return _words(single_labels(plain_array(column), column.type, name), _element)
        return _words(plain_array(column))
    except (pa.ArrowException, LabelError) as error:
        raise SourceError(
            f"column {name!r} has type {column.type}, which can't be compared with what was scored; each row's {role} "
            "is one text or number",
            quotes_data=True,
        ) from error


def _texts(column: pa.Array) -> _Bytes:
    """Return the UTF-8 of texts [n]; a dictionary's texts, which may be large, are not copied for each row."""
    if pa.types.is_dictionary(column.type):
        used = column.indices.dictionary_encode()
        known = [*_texts(column.dictionary.take(used.dictionary)), b""]
        return [known[i] for i in used.indices.fill_null(len(known) - 1).to_pylist()]
    column = valid_text(column).cast(pa.large_binary()).fill_null(b"")
    if not len(column):
        return []
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1].tolist()
    whole = memoryview(data or b"")
    return [whole[start:end] for start, end in pairwise(ends)]


def _words(column: pa.Array, part: Callable[[str], str] = str) -> _Bytes:
    """Return the text of labels or ids [n], each spelt in one way; repeated values are spelt once.

    ``part`` returns the part of a value that counts.
    """
    encoded = valid_text(column).cast(pa.string()).dictionary_encode()
    known = [*(_spelt(part(value)).encode() for value in encoded.dictionary.to_pylist()), b""]
    return [known[i] for i in encoded.indices.fill_null(len(known) - 1).to_pylist()]


def _element(label: str) -> str:
    """Return the element of a list of at most one that is written as JSON; other texts are returned as they are."""
    elements = json_elements(label)
    return label if len(elements) > 1 else "".join(element or "" for element in elements)


def _spelt(value: str) -> str:
    """Return the one spelling of a number, a time or a boolean; other texts are returned as they are."""
    if value[:1] not in _FIRST:
        folded = value.lower() if len(value) <= len("false") else value
        return "" if folded == "nan" else folded if folded in ("true", "false") else value
    if _WHOLE.fullmatch(value):
        return value
    if _NUMBER.fullmatch(value):
        plain = format(Decimal(value), "f")
        plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
        return "0" if plain == "-0" else plain
    if time := _TIME.fullmatch(value):
        date, clock, fraction, zone = time.groups(default="")
        exact = clock + fraction.rstrip("0").rstrip(".")
        zone = zone.replace(":", "")
        zone = "Z" if zone in ("+0000", "-0000") else zone
        return date if (exact, zone) == ("00:00:00", "") else f"{date} {exact}{zone}"
    return value
