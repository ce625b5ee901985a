"""ScoreOptions: what can be set of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scorer.errors import RunError
from scorer.model.tokenizer import LONG_TEXTS

PRECISIONS = ("fp32", "int8", "screen")
ON_ERROR = ("skip", "fail")
_WINDOW_ROWS = 4096
_SCREEN_SHARE, _SCREEN_LEAST = 100, 1000  # one row in so many, and at least so many


@dataclass(frozen=True)
class ScoreOptions:
    """What can be set of a run; None is chosen by the machine, the model or the data.

    ``precision`` is ``fp32``, ``int8`` or ``screen``: int8 for every row, and fp32 again for those that could be among
    the ``screen_top`` worst. ``long_text`` says what is read of a text of more than ``max_tokens``: its ``head``, its
    ``tail``, or all of it in overlapping pieces, the ``mean`` of whose logits is taken. ``batch_tokens`` bounds a
    padded batch, ``window_rows`` are sorted by length together, ``shard_rows`` are written, and on resume kept or
    redone, together. ``on_error`` says whether a row that can't be read (a broken line, bytes that aren't UTF-8) is
    counted and gone past (``skip``) or ends the run (``fail``).
    """

    text_column: str | None = None
    text_pair_column: str | None = None
    label_column: str | None = None
    id_column: str | None = None
    label_map: Mapping[str, Any] | None = None
    device: str = "auto"
    threads: int | None = None
    precision: str = "fp32"
    screen_top: int | None = None
    max_tokens: int | None = None
    long_text: str = "head"
    batch_tokens: int | None = None
    window_rows: int | None = None
    shard_rows: int = 4096
    on_error: str = "skip"

    def __post_init__(self) -> None:
        for name in ("threads", "screen_top", "max_tokens", "batch_tokens", "window_rows", "shard_rows"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise RunError(f"{name} is {value}; it must be at least 1")
        if self.precision not in PRECISIONS:
            raise RunError(f"precision is {self.precision!r}; it must be one of: {', '.join(PRECISIONS)}")
        if self.on_error not in ON_ERROR:
            raise RunError(f"on_error is {self.on_error!r}; it must be one of: {', '.join(ON_ERROR)}")
        if self.long_text not in LONG_TEXTS:
            raise RunError(f"long_text is {self.long_text!r}; it must be one of: {', '.join(LONG_TEXTS)}")
        if self.screen_top is not None and self.precision != "screen":
            raise RunError(f"screen_top is for precision screen; precision is {self.precision}: leave one of them out")
        if self.window_rows is not None and self.window_rows > self.shard_rows:
            raise RunError(
                f"window_rows is {self.window_rows}, more than shard_rows ({self.shard_rows}); windows end with "
                "their shard: give less, or larger shards"
            )

    @property
    def window(self) -> int:
        """The rows sorted by length together, as given or as many as fit a shard, up to 4,096."""
        return self.window_rows or min(_WINDOW_ROWS, self.shard_rows)

    def screened(self, num_rows: int) -> int | None:
        """Return how many of the worst rows a screen must find: as given, or 1% of the rows and at least 1,000."""
        if self.precision != "screen":
            return None
        return min(self.screen_top or max(num_rows // _SCREEN_SHARE, _SCREEN_LEAST), num_rows)
