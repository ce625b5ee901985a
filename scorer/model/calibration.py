"""The batch size of a run and how it was chosen.

This module is separate from ``autotune``, so that reading a run loads no tokenizer.
"""

from typing import Any

import msgspec

from scorer.typed_json import Amount, Positive


class Calibration(msgspec.Struct, frozen=True):
    """The chosen batch size in tokens, and ``why`` it was chosen.

    ``tokens_per_second`` maps each size that was tried to its speed; it is empty if none was tried.
    """

    batch_tokens: Positive
    tokens_per_second: dict[str, Amount]
    why: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as ``run.json`` stores them."""
        return msgspec.structs.asdict(self)
