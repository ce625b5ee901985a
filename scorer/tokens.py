"""tokenise(): texts to ragged int32 ids in one flat buffer, never padded.

A published ``tokenizer.json`` may carry a truncation length and padding of its own; both are replaced here, as
transformers does when it is called.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from scorer.bundle import ModelBundle
from scorer.errors import BundleError

_LONG = 8  # characters per token of the limit past which a text is cut before it is tokenised
_CUT = re.compile(r"(?<=\S)[ \n](?=\S)")  # other white space, and runs of it, are part of some tokenizers' tokens
_CHUNK = 256  # texts tokenised at once: a text's tokens past the limit are held until its chunk is done


@dataclass(frozen=True)
class TokenWindow:
    """The tokens of ``n`` texts: text ``i`` has ``ids[offsets[i]:offsets[i + 1]]``.

    ``offsets`` is [n + 1] int64, ``ids`` [offsets[-1]] int32, ``truncated`` [n] bool (the text was longer than the
    model reads); ``type_ids`` is like ``ids``, or None where the model has no use for it.
    """

    offsets: NDArray[np.int64]
    ids: NDArray[np.int32]
    type_ids: NDArray[np.int32] | None
    truncated: NDArray[np.bool_]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of tokens of each text, [n]."""
        return np.diff(self.offsets)

    def take(self, rows: NDArray[np.int64]) -> "TokenWindow":
        """Return the tokens of some of the texts, in the order of ``rows``."""
        lengths = self.lengths[rows]
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        index = np.repeat(self.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        type_ids = None if self.type_ids is None else self.type_ids[index]
        return TokenWindow(offsets, self.ids[index], type_ids, self.truncated[rows])


class BundleTokenizer:
    """A bundle's tokenizer, set to the bundle's token limit and to no padding."""

    def __init__(self, bundle: ModelBundle, max_tokens: int | None = None) -> None:
        """Load ``tokenizer.json``.

        Raises:
            BundleError: the file can't be read as a tokenizer, or ``max_tokens`` is more than the model reads or
                too few to hold the special tokens and one more.
        """
        try:
            self._tokenizer = Tokenizer.from_file(str(bundle.tokenizer_file))
        except Exception as error:  # the library raises a bare Exception
            raise BundleError(f"{bundle.tokenizer_file} can't be read as a tokenizer ({error})") from error
        limit = bundle.max_tokens if max_tokens is None else max_tokens
        special = self._tokenizer.num_special_tokens_to_add(is_pair=True)
        if not special < limit <= bundle.max_tokens:
            raise BundleError(f"max_tokens is {limit}; this model takes {special + 1} to {bundle.max_tokens} tokens")
        self.max_tokens = limit
        self._tokenizer.enable_truncation(limit)
        self._tokenizer.no_padding()
        self._wants_type_ids = "token_type_ids" in bundle.input_names
        self._single_type_ids = self._wants_type_ids and any(self._tokenizer.encode("a").type_ids)

    def tokenise(self, texts: Sequence[str], text_pairs: Sequence[str] | None = None) -> TokenWindow:
        """Tokenise texts (or pairs) with special tokens, on all cores, cut to the limit."""
        ids, type_ids, truncated = [], [], []
        with_type_ids = self._single_type_ids or (self._wants_type_ids and text_pairs is not None)
        for start in range(0, len(texts), _CHUNK):
            inputs: list[Any] = self._shorten(texts[start : start + _CHUNK])
            if text_pairs is not None:
                inputs = list(zip(inputs, self._shorten(text_pairs[start : start + _CHUNK]), strict=True))
            for encoding in self._tokenizer.encode_batch_fast(inputs):
                ids.append(np.array(encoding.ids, dtype=np.int32))
                if with_type_ids:
                    type_ids.append(np.array(encoding.type_ids, dtype=np.int32))
                truncated.append(len(encoding) >= self.max_tokens and bool(encoding.overflowing))
        offsets = np.zeros(len(ids) + 1, dtype=np.int64)
        np.cumsum([len(each) for each in ids], out=offsets[1:])
        return TokenWindow(
            offsets, _flat(ids), _flat(type_ids) if with_type_ids else None, np.array(truncated, np.bool_)
        )

    def _shorten(self, texts: Sequence[str]) -> list[str]:
        """Cut texts of up to megabytes at a blank past what the model can read.

        No token crosses a blank in the tokenizers that classifiers use, so where the part before it has more tokens
        than the limit the rest changes nothing. (Of a pair whose halves are both past the limit, the longer has the
        odd token: here the one whose part is the longer.) A text without a blank is left whole.
        """
        short = list(texts)
        length = _LONG * self.max_tokens
        while long := [i for i, text in enumerate(texts) if short[i] is text and len(text) > 2 * length]:
            cuts = [_CUT.search(texts[i], length, 2 * length) for i in long]
            parts = {i: texts[i][: cut.start()] for i, cut in zip(long, cuts, strict=True) if cut}
            encodings = self._tokenizer.encode_batch_fast(list(parts.values()), add_special_tokens=False)
            for (i, part), encoding in zip(parts.items(), encodings, strict=True):
                if encoding.overflowing:
                    short[i] = part
            length *= 2
        return short


def _flat(arrays: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    return np.concatenate(arrays or [np.zeros(0, np.int32)])
