"""Kind: a family of classifiers, or a form in which people save one, with what is expected of it."""

from dataclasses import dataclass, field
from typing import Any

# Settings that most configurations know; each family's own come on top.
SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "initializer_range": 0.25,
}


@dataclass(frozen=True)
class Kind:
    """A family or form: the prefix of its transformers classes, its settings, and what is expected of it.

    A setting of None is left out. ``refused`` is a part of the reason for which no route can export it, None if one of
    them must be exact; ``refused_by_4`` is the same for transformers 4 alone. ``types`` tells whether its tokenizer
    gives token type ids. ``words`` are further settings of the tokenizer, and ``edits`` are changes to config.json
    after it is saved (None takes a key out). The weights have the standard deviation ``std`` where the class's own is
    near zero, and are saved as ``dtype``, in files of at most ``shard``.
    ``saved_by_5`` is the folder of a checkpoint that transformers 5 saved, which takes the place of all this.
    """

    name: str
    prefix: str
    settings: dict[str, Any] = field(default_factory=dict)
    refused: str | None = None
    refused_by_4: str | None = None
    types: bool = False
    classes: int = 4
    words: dict[str, Any] = field(default_factory=dict)
    edits: dict[str, Any] = field(default_factory=dict)
    std: float = 0.25
    dtype: str = "float32"
    shard: str = "5GB"
    saved_by_5: str | None = None

    def reason(self, transformers: str) -> str | None:
        """Return a part of the reason for which a version of transformers can't export it; None if it must."""
        return self.refused or (self.refused_by_4 if transformers.startswith("4.") else None)
