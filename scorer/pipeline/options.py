"""ScoreOptions: the settings of a run, with their defaults and checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scorer.errors import RunError
from scorer.model.tokenizer import LONG_TEXTS
from scorer.run.schema import ALL_PROBS, TOP_PROBS

PRECISIONS = ("fp32", "int8", "screen")
ON_ERROR = ("skip", "fail")
_WINDOW_ROWS = 4096
_SCREEN_SHARE, _SCREEN_LEAST = 100, 1000  # one row in 100, and at least 1,000


@dataclass(frozen=True)
class ScoreOptions:
    """The settings of a run; lossrank chooses a setting that is None from the machine, the model or the data.

    ``text_column`` may name several columns, whose texts are joined with ``join`` between them. With ``no_label`` no
    label column is looked for. ``label_map`` maps labels to classes (see ``make_label_map``); ``no_label_value`` is a
    label that means that a row has none. ``precision`` is ``fp32``, ``int8`` or ``screen``: int8 for every row, then
    fp32 for the rows that could be among the ``screen_top`` worst. ``long_text`` is the part that the model reads of a
    text of more than ``max_tokens``: its ``head``, its ``tail``, or all of it in overlapping pieces whose logits are
    averaged (``mean``); None is what the model was trained with, the head if its bundle doesn't say. ``batch_tokens``
    is the most tokens in a batch, padding included. ``window_rows`` is how many rows are sorted by length together.
    ``shard_rows`` is how many rows a shard has. ``on_error`` is what happens to a row that can't be read (a broken
    line, bytes that aren't UTF-8): it is skipped and counted (``skip``), or it ends the run (``fail``). With
    ``all_probs`` a row keeps the probabilities of all classes, even of more than 256.
    """

    text_column: str | Sequence[str] | None = None
    text_pair_column: str | None = None
    label_column: str | None = None
    id_column: str | None = None
    join: str = " "
    no_label: bool = False
    label_map: Mapping[str, Any] | None = None
    no_label_value: str | None = None
    device: str = "auto"
    threads: int | None = None
    precision: str = "fp32"
    screen_top: int | None = None
    max_tokens: int | None = None
    long_text: str | None = None
    batch_tokens: int | None = None
    window_rows: int | None = None
    shard_rows: int = 4096
    on_error: str = "skip"
    all_probs: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.text_column, str | None):
            one = len(self.text_column) == 1
            object.__setattr__(self, "text_column", self.text_column[0] if one else tuple(self.text_column) or None)
        for name in ("threads", "screen_top", "max_tokens", "batch_tokens", "window_rows", "shard_rows"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise RunError(f"`{name}` is {value!r}; it must be a whole number, at least 1")
        if self.no_label:
            for name in ("label_column", "label_map", "no_label_value"):
                if getattr(self, name) is not None:
                    raise RunError(f"`no_label=True` leaves the labels out, but `{name}` is given; give one of them")
        if self.precision not in PRECISIONS:
            raise RunError(f"`precision` is {self.precision!r}; it must be one of: {', '.join(PRECISIONS)}")
        if self.on_error not in ON_ERROR:
            raise RunError(f"`on_error` is {self.on_error!r}; it must be one of: {', '.join(ON_ERROR)}")
        if self.long_text not in (None, *LONG_TEXTS):
            raise RunError(f"`long_text` is {self.long_text!r}; it must be one of: {', '.join(LONG_TEXTS)}")
        if self.screen_top is not None and self.precision != "screen":
            raise RunError(
                f"`screen_top` is {self.screen_top}, but `precision` is {self.precision!r}; use "
                "`precision='screen'`, or leave `screen_top` out"
            )
        if self.window_rows is not None and self.window_rows > self.shard_rows:
            raise RunError(
                f"`window_rows` is {self.window_rows}; it must be at most `shard_rows` ({self.shard_rows}), because a "
                "window lies within a shard"
            )

    @property
    def window(self) -> int:
        """How many rows are sorted by length together: ``window_rows``, by default ``shard_rows`` but at most 4,096."""
        return self.window_rows or min(_WINDOW_ROWS, self.shard_rows)

    def screened(self, num_rows: int) -> int | None:
        """Return how many of the worst rows a screen must find, by default 1% and at least 1,000; None if no screen."""
        if self.precision != "screen":
            return None
        return min(self.screen_top or max(num_rows // _SCREEN_SHARE, _SCREEN_LEAST), num_rows)

    def top_probs(self, num_classes: int) -> int | None:
        """Return how many probabilities a row keeps, besides its label's; None if it keeps those of all classes."""
        return None if self.all_probs or num_classes <= ALL_PROBS else TOP_PROBS
