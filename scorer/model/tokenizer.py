"""BundleTokenizer: turn texts into token ids, without padding, in one flat int32 array.

A published ``tokenizer.json`` may set a truncation length and padding. Both are replaced here, as transformers replaces
them when it tokenises.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from scorer.errors import BundleError
from scorer.model.bundle import ModelBundle
from scorer.model.pretruncate import Shortener, chunks

LONG_TEXTS = ("head", "tail", "mean")
_OVERLAP = 4  # a quarter of a piece is repeated in the next piece
_PIECES = 64  # the most pieces of a text; the rest of the text is cut off


@dataclass(frozen=True)
class TokenWindow:
    """The tokens of ``s`` texts in ``n`` pieces: the tokens of piece ``i`` are ``ids[offsets[i]:offsets[i + 1]]``.

    ``offsets`` is [n + 1] int64, ``ids`` [offsets[-1]] int32; ``type_ids`` is like ``ids``, or None if the model does
    not read it. ``truncated`` [s] bool marks texts of which a part is in no piece. ``of_text`` [n] is the index of each
    piece's text, ascending, or None if each text is one piece.
    """

    offsets: NDArray[np.int64]
    ids: NDArray[np.int32]
    type_ids: NDArray[np.int32] | None
    truncated: NDArray[np.bool_]
    of_text: NDArray[np.int64] | None = None

    @property
    def texts(self) -> NDArray[np.int64]:
        """The index of each piece's text [n]."""
        return np.arange(len(self.truncated)) if self.of_text is None else self.of_text

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of tokens of each piece [n]."""
        return np.diff(self.offsets)

    @property
    def text_lengths(self) -> NDArray[np.int64]:
        """The number of tokens of each text [s], over all its pieces."""
        return np.bincount(self.texts, self.lengths, len(self.truncated)).astype(np.int64)

    def take(self, rows: NDArray[np.int64]) -> "TokenWindow":
        """Return the pieces at ``rows``, in that order; each piece becomes a text."""
        lengths = self.lengths[rows]
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        index = np.repeat(self.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        type_ids = None if self.type_ids is None else self.type_ids[index]
        return TokenWindow(offsets, self.ids[index], type_ids, self.truncated[self.texts[rows]])


class BundleTokenizer:
    """A bundle's tokenizer, set to the bundle's token limit and to no padding."""

    def __init__(self, bundle: ModelBundle, max_tokens: int | None = None, long_text: str | None = None) -> None:
        """Load ``tokenizer.json``; ``max_tokens`` is by default the bundle's limit.

        ``long_text`` is one of LONG_TEXTS, by default what the bundle's model was trained with.

        Raises:
            BundleError: the file can't be read as a tokenizer.
            BundleError: ``max_tokens`` is more than the model reads, or leaves no token beside the special tokens.
        """
        try:
            self._tokenizer = Tokenizer.from_file(str(bundle.tokenizer_file))
        except Exception as error:  # the library raises a bare Exception
            raise BundleError(
                f"{bundle.tokenizer_file} can't be read as a tokenizer ({error}); export the model again"
            ) from error
        limit = bundle.max_tokens if max_tokens is None else max_tokens
        special = self._tokenizer.num_special_tokens_to_add(is_pair=True)
        if not special < limit <= bundle.max_tokens:
            raise BundleError(
                f"`max_tokens` is {limit}; for this model it must be {special + 1} to {bundle.max_tokens}"
            )
        self.max_tokens = limit
        self.long_text = long_text or bundle.long_text or LONG_TEXTS[0]
        self._stride = (limit - special) // _OVERLAP if self.long_text == "mean" else 0
        tail = self.long_text == "tail"
        self._tokenizer.enable_truncation(limit, stride=self._stride, direction="left" if tail else "right")
        self._tokenizer.no_padding()
        pieces = _PIECES if self.long_text == "mean" else 1
        self._shortener = Shortener(self._tokenizer, limit, pieces, tail=tail)
        self._wants_type_ids = "token_type_ids" in bundle.input_names
        self._single_type_ids = self._wants_type_ids and any(self._tokenizer.encode("a").type_ids)

    def shorten(self, texts: Sequence[str]) -> list[str]:
        """Cut texts of megabytes to the part that the model reads; see ``Shortener``."""
        return self._shortener.shorten(texts)

    def tokenise(self, texts: Sequence[str], text_pairs: Sequence[str] | None = None) -> TokenWindow:
        """Tokenise texts (or pairs), of any length, with special tokens, on all cores.

        ``head`` keeps the first tokens up to the limit, ``tail`` the last. ``mean`` reads a text in at most 64 pieces
        as long as the limit; each piece begins with the last quarter of the piece before it.
        """
        return self.tokenise_short(self.shorten(texts), None if text_pairs is None else self.shorten(text_pairs))

    def tokenise_short(self, texts: Sequence[str], text_pairs: Sequence[str] | None = None) -> TokenWindow:
        """Tokenise texts (or pairs) as ``tokenise`` does, but expect that ``shorten`` has returned them."""
        ids: list[NDArray[np.int32]] = []
        type_ids: list[NDArray[np.int32]] = []
        truncated: list[bool] = []
        of_text: list[int] = []
        with_type_ids = self._single_type_ids or (self._wants_type_ids and text_pairs is not None)
        inputs: list[Any] = list(texts)
        sizes = [len(text) for text in inputs]
        if text_pairs is not None:
            inputs = list(zip(texts, text_pairs, strict=True))
            sizes = [len(text) + len(pair) for text, pair in inputs]
        for start, stop in chunks(sizes):
            for encoding in self._tokenizer.encode_batch_fast(inputs[start:stop]):
                pieces = [encoding]
                longer = len(encoding) >= self.max_tokens and bool(encoding.overflowing)
                if longer and self.long_text == "mean":
                    rest = encoding.overflowing
                    pieces += rest[: _PIECES - 1]
                    longer = len(rest) >= _PIECES
                for piece in pieces:
                    ids.append(np.array(piece.ids, dtype=np.int32))
                    of_text.append(len(truncated))
                    if with_type_ids:
                        type_ids.append(np.array(piece.type_ids, dtype=np.int32))
                truncated.append(longer)
        offsets = np.zeros(len(ids) + 1, dtype=np.int64)
        np.cumsum([len(piece_ids) for piece_ids in ids], out=offsets[1:])
        return TokenWindow(
            offsets,
            _flat(ids),
            _flat(type_ids) if with_type_ids else None,
            np.array(truncated, np.bool_),
            np.array(of_text, np.int64) if self.long_text == "mean" else None,
        )


def _flat(arrays: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    return np.concatenate(arrays or [np.zeros(0, np.int32)])
