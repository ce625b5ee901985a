"""Shortener: cut texts of megabytes to the part that the model reads, before they are tokenised.

A tokenizer needs at least 140 bytes for each character of a text, and up to 9 GB for a text of 60 MB. The part that
is cut off lies past the model's limit, so the model reads the same tokens; ``Shortener`` describes the one exception.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise

from tokenizers import Encoding, Tokenizer

_LONG = 8  # characters per token that the model reads; a text of more than twice that length is cut
_CUT = re.compile(r"(?<=\S)[ \n](?=\S)")  # other white space, and runs of it, are part of some tokenizers' tokens
_FAR = 8191  # characters; a prime, so that a text that repeats itself looks different from both ends
_MOST = 1 << 19  # characters tokenised before a text is cut although its tokens still change
_PERIODS = 720_720  # divisible by 1 to 16: a piece of SentencePiece has at most 16 characters
_PART = 1 << 15  # characters searched for stretches at once
_STRETCH = 2048  # characters that are part of one token, or of none
_ENDS = 512  # characters kept at either end of a stretch: more than any token or known word has
CHUNK_TEXTS = 256  # texts tokenised at once: their tokens past the limit stay in memory until the chunk is done
CHUNK_CHARACTERS = 1 << 20
_WHOLE = 1 << 17  # characters; a shorter text without a blank is tokenised whole, in parallel with others


class Shortener:
    """Cuts texts that are much longer than a model can read, at their end, or for ``tail`` at their start.

    Three rules, each for the texts that the rules before it leave uncut:

    - A text is cut at a blank past the last token that the model reads. No token crosses a blank in the tokenizers of
      classifiers.
    - A text of more than 131,072 characters without a blank (Chinese, base64, a single word) is cut where 8,191 more
      characters don't change the tokens that the model reads. If the tokens never settle, as in a text that repeats one
      piece of SentencePiece or BPE for megabytes, the text is cut after half a million characters and up to 720,720
      more, so that the number of characters cut off is divisible by 1 to 16. Only this last cut could change a token
      that the model reads, and only in a text whose first tokens depend on characters that far away.
    - A text with fewer tokens than the model reads keeps both ends. If a stretch of more than 2,048 characters belongs
      to one token (an unknown word) or to none (blanks, control characters), only the first and last 512 characters of
      the stretch are kept, provided that all tokens stay the same.
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int, pieces: int, *, tail: bool) -> None:
        """Take a tokenizer that truncates to ``max_tokens``; the model reads the first ``pieces`` pieces of a text."""
        self._tokenizer = tokenizer
        self._pieces = pieces
        self._tail = tail
        self._length = _LONG * max_tokens * pieces

    def shorten(self, texts: Sequence[str]) -> list[str]:
        """Return the texts, with the long ones cut.

        If both texts of a pair are past the limit and share an odd number of tokens, the tokenizer gives one token more
        to the longer text. It compares the texts after they are cut here, so a cut can move that token to the other.
        """
        short = list(texts)
        long = [i for i, text in enumerate(texts) if len(text) > 2 * self._length]
        for start, stop in chunks([2 * self._length] * len(long)):
            parts = {i: part for i in long[start:stop] if (part := self._before_a_blank(texts[i])) is not None}
            encodings = self._tokenizer.encode_batch_fast(list(parts.values()), add_special_tokens=False)
            for (i, part), encoding in zip(parts.items(), encodings, strict=True):
                if self._is_full(encoding):
                    short[i] = part
        for i in long:
            if short[i] is texts[i] and len(texts[i]) > _WHOLE:
                short[i] = self._until_it_settles(texts[i])
        return short

    def _before_a_blank(self, text: str) -> str | None:
        """Return the text's start or end, one to two times ``_length`` long, cut at a blank; None without a blank."""
        if self._tail:
            cut = _CUT.search(text, len(text) - 2 * self._length, len(text) - self._length)
            return text[cut.end() :] if cut else None
        cut = _CUT.search(text, self._length, 2 * self._length)
        return text[: cut.start()] if cut else None

    def _until_it_settles(self, text: str) -> str:
        """Try longer and longer parts of the text, and return the first one whose tokens more text does not change."""
        held, taken, step = "", 0, self._length + _FAR
        few = False
        while taken < len(text):
            held = self._join(held, self._slice(text, taken, taken + step))
            taken += step
            if few:
                held = self._without_stretches(held)
            encoding = self._encode(held)
            few = not self._is_full(encoding)
            if not few and len(held) > _FAR:
                before = self._encode(self._slice(held, 0, len(held) - _FAR))
                if self._is_full(before) and self._read(before) == self._read(encoding):
                    return held
                if self._is_full(before) and _MOST <= taken < len(text):
                    return self._join(held, self._slice(text, taken, taken + (len(text) - taken) % _PERIODS))
            step = min(2 * step, max(_MOST, len(held)))
        return held

    def _without_stretches(self, text: str) -> str:
        """Remove the middle of stretches in one token or in none, in each part whose tokens stay the same."""
        parts = [text[at : at + _PART] for at in range(0, len(text), _PART)]
        encodings = self._tokenizer.encode_batch(parts, add_special_tokens=False)
        shorter = [_without_middles(part, encoding) for part, encoding in zip(parts, encodings, strict=True)]
        again = self._tokenizer.encode_batch_fast(shorter, add_special_tokens=False)
        same = [_tokens(before) == _tokens(after) for before, after in zip(encodings, again, strict=True)]
        return "".join(short if keep else part for short, part, keep in zip(shorter, parts, same, strict=True))

    def _encode(self, text: str) -> Encoding:
        return self._tokenizer.encode_batch_fast([text], add_special_tokens=False)[0]

    def _is_full(self, encoding: Encoding) -> bool:
        """Return whether a text has more tokens than the model reads."""
        return len(encoding.overflowing) >= self._pieces

    def _read(self, encoding: Encoding) -> list[list[int]]:
        """Return the tokens that the model reads, piece by piece."""
        return [piece.ids for piece in (encoding, *encoding.overflowing[: self._pieces - 1])]

    def _slice(self, text: str, start: int, stop: int) -> str:
        """Return a slice of a text, counted from its end for ``tail``."""
        return text[max(len(text) - stop, 0) : len(text) - start] if self._tail else text[start:stop]

    def _join(self, held: str, more: str) -> str:
        return more + held if self._tail else held + more


def chunks(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield ``(start, stop)`` of texts to tokenise at once, from their ``sizes`` in characters; memory limits them."""
    start = characters = 0
    for i, size in enumerate(sizes):
        if i > start and (i - start >= CHUNK_TEXTS or characters + size > CHUNK_CHARACTERS):
            yield start, i
            start, characters = i, 0
        characters += size
    if sizes:
        yield start, len(sizes)


def _without_middles(text: str, encoding: Encoding) -> str:
    edges = {0, len(text)}
    for piece in (encoding, *encoding.overflowing):
        edges.update(chain.from_iterable(piece.offsets))
    kept, at = [], 0
    for start, stop in pairwise(sorted(edges)):
        if stop - start > _STRETCH:
            kept.append(text[at : start + _ENDS])
            at = stop - _ENDS
    return "".join([*kept, text[at:]])


def _tokens(encoding: Encoding) -> list[list[int]]:
    return [piece.ids for piece in (encoding, *encoding.overflowing)]
