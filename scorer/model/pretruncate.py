"""Shortener: texts of up to megabytes cut to what the model reads of them, before they are tokenised.

A tokenizer takes 140 bytes and more for each character of a text, and up to 9 GB for 60 MB of it. What is cut off is
not looked at by the model, so the tokens stay those of the whole text; see ``Shortener`` for how sure that is.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise

from tokenizers import Encoding, Tokenizer

_LONG = 8  # characters per token of the limit past which a text is cut
_CUT = re.compile(r"(?<=\S)[ \n](?=\S)")  # other white space, and runs of it, are part of some tokenizers' tokens
_FAR = 8191  # characters; a prime, so that a text that repeats itself does not look the same from both ends
_MOST = 1 << 19  # characters tokenised before a text is cut although its tokens still change
_PERIODS = 720_720  # can be divided by 1 to 16: a piece of SentencePiece has 16 characters at the most
_PART = 1 << 15  # characters looked at for stretches at once
_STRETCH = 2048  # characters that are part of one token, or of none
_ENDS = 512  # characters of either end of a stretch that are kept: more than a token or a word's limit has
CHUNK_TEXTS = 256  # texts tokenised at once: a text's tokens past the limit are held until its chunk is done
CHUNK_CHARACTERS = 1 << 20
_WHOLE = 1 << 17  # characters of a text that is tokenised whole, beside others, rather than looked at for a cut


class Shortener:
    """Cuts texts that are much longer than what a model can read, at their end, or for ``tail`` at their start.

    Three rules, each for what the ones before it leave:

    - A text is cut at a blank behind which the model reads nothing. No token crosses a blank in the tokenizers that
      classifiers use.
    - A text of more than 131,072 characters without a blank (Chinese, base64, a single word) is cut where the tokens
      that the model reads stay the same with 8,191 characters more. Where they do so never, as where a piece of
      SentencePiece or BPE repeats itself for megabytes, it is cut after half a million characters and up to 720,720
      more, by a multiple of 1 to 16 characters. Only here could another token come out: of a text whose tokens depend
      on what is further away.
    - A text with fewer tokens than the model reads is not cut, but of more than 2,048 characters that are in one token
      (an unknown word) or in none (blanks, control characters) only the 512 at either end are kept, where that
      leaves all tokens around them as they were.
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int, pieces: int, *, tail: bool) -> None:
        """Take a tokenizer that truncates to ``max_tokens``, of whose pieces of a text the model reads so many."""
        self._tokenizer = tokenizer
        self._pieces = pieces
        self._tail = tail
        self._length = _LONG * max_tokens * pieces

    def shorten(self, texts: Sequence[str]) -> list[str]:
        """Return the texts, those cut that are long.

        Of a pair whose halves are both past the limit the longer one has the odd token, here the one whose part is: a
        cut can move one token from one half to the other.
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
        """Return one to two lengths of a text's start, or its end, cut at a blank if it has one."""
        if self._tail:
            cut = _CUT.search(text, len(text) - 2 * self._length, len(text) - self._length)
            return text[cut.end() :] if cut else None
        cut = _CUT.search(text, self._length, 2 * self._length)
        return text[: cut.start()] if cut else None

    def _until_it_settles(self, text: str) -> str:
        """Return as much of a text as gives the tokens that are read of it, however much more is added."""
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
        """Take out the middles of stretches in one token or in none, part by part, where no token changes by it."""
        parts = [text[at : at + _PART] for at in range(0, len(text), _PART)]
        encodings = self._tokenizer.encode_batch(parts, add_special_tokens=False)
        shorter = [_without_middles(part, each) for part, each in zip(parts, encodings, strict=True)]
        again = self._tokenizer.encode_batch_fast(shorter, add_special_tokens=False)
        same = [_tokens(one) == _tokens(other) for one, other in zip(encodings, again, strict=True)]
        return "".join(short if keep else part for short, part, keep in zip(shorter, parts, same, strict=True))

    def _encode(self, text: str) -> Encoding:
        return self._tokenizer.encode_batch_fast([text], add_special_tokens=False)[0]

    def _is_full(self, encoding: Encoding) -> bool:
        """Say whether there are more tokens than the model reads."""
        return len(encoding.overflowing) >= self._pieces

    def _read(self, encoding: Encoding) -> list[list[int]]:
        """Return the tokens that the model reads, piece by piece."""
        return [piece.ids for piece in (encoding, *encoding.overflowing[: self._pieces - 1])]

    def _slice(self, text: str, start: int, stop: int) -> str:
        """Return a slice of a text, its places counted from the end that is read."""
        return text[max(len(text) - stop, 0) : len(text) - start] if self._tail else text[start:stop]

    def _join(self, held: str, more: str) -> str:
        return more + held if self._tail else held + more


def chunks(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Cut texts of so many characters each into ranges that a tokenizer has memory for at once."""
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
