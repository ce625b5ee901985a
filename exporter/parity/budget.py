"""Which parity texts the networks run: all that are short, and of the longest as many as memory and time allow.

A classifier's attention takes memory and time with the square of a text's length. A text of 8,192 tokens takes
ModernBERT-base 12 GB and 6e12 operations, and the parity texts have a dozen of such texts. The estimates are made for
the exported graph, which holds the attention of all pairs of tokens; torch's SDPA needs less.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from exporter.parity.texts import Text
from exporter.tokenizer import Encoding
from scorer.machine import available_cores, available_memory

SHORT = 1024  # tokens; all texts up to this length are run
_OPERATIONS = 7.5e12  # for the longer ones, in each of torch and onnxruntime: 5 minutes at 25e9 a second
_OF_MEMORY = 3 / 4  # of what is available
_UNKNOWN_MEMORY = 8 << 30  # bytes
# Measured in onnxruntime and torch: what they hold at once are 3 arrays of float32 for each head, and masks.
_BYTES_OF_HEAD, _BYTES_OF_MASK = 12, 40


@dataclass(frozen=True)
class Cost:
    """What a text costs a model, by its shape; ``weights`` are those that each token is multiplied with.

    ``memory`` is the budget in bytes, without what the model itself takes.
    """

    heads: int
    hidden: int
    layers: int
    weights: int
    memory: int

    def bytes_of(self, tokens: int) -> int:
        """Return the memory of one text in a batch."""
        return tokens**2 * (self.heads * _BYTES_OF_HEAD + _BYTES_OF_MASK) + 64 * tokens * self.hidden

    def operations(self, tokens: int) -> int:
        """Return the floating-point operations of one text."""
        return 2 * self.weights * tokens + 4 * tokens**2 * self.hidden * self.layers

    def longest(self, tokens: int) -> int:
        """Return the most tokens, up to ``tokens`` and not below ``SHORT``, of a text that the budget allows."""
        least, most = min(SHORT, tokens), tokens
        while least < most:
            middle = (least + most + 1) // 2
            if self.bytes_of(middle) <= self.memory and self.operations(middle) <= _OPERATIONS:
                least = middle
            else:
                most = middle - 1
        return least

    def rows(self, tokens: int) -> int:
        """Return how many texts of a length fit into the memory at once; 1 at least."""
        return max(1, self.memory // self.bytes_of(tokens))

    def threads(self, rows: int, tokens: int) -> int:
        """Return how many batches of ``rows`` texts may run at once."""
        return max(1, min(available_cores(), self.rows(tokens) // rows))


def cost_of(model: Any) -> Cost:
    """Return the cost of a torch classifier by its configuration and weights, for the memory that is available now."""
    config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
    hidden = _number(config, "hidden_size", 1024)
    # A decoder's layers attend to themselves and to the encoder.
    layers = _number(config, "num_hidden_layers", 24) * (3 if getattr(config, "is_encoder_decoder", False) else 1)
    every = {id(weight): weight for weight in model.parameters()}
    embedded = model.get_input_embeddings().weight.numel()
    weights = sum(weight.numel() for weight in every.values() if weight.dim() > 1) - embedded
    held = sum(weight.numel() * weight.element_size() for weight in every.values())
    return Cost(
        heads=_number(config, "num_attention_heads", max(1, hidden // 64)),
        hidden=hidden,
        layers=layers,
        weights=max(weights, 12 * hidden**2 * layers),  # ALBERT's layers share theirs
        memory=memory_for(held),
    )


def memory_for(held: int) -> int:
    """Return the budget in bytes for the texts of a model that itself takes ``held`` bytes."""
    return max(0, int(_OF_MEMORY * (available_memory() or _UNKNOWN_MEMORY)) - held)


def _number(config: Any, name: str, otherwise: int) -> int:
    value = getattr(config, name, None)
    return value if isinstance(value, int) and value > 0 else otherwise


@dataclass(frozen=True)
class Plan:
    """The parity texts that the networks run: the first ``short`` ones are short, the others are cut to ``max_tokens``.

    ``encodings`` are of the short texts. ``of`` is the number of all parity texts, and ``limit`` the model's.
    """

    texts: list[Text]
    encodings: list[Encoding]
    max_tokens: int
    limit: int
    of: int
    cost: Cost

    @property
    def short(self) -> int:
        """The number of short texts, which come first."""
        return len(self.encodings)

    @property
    def longest_short(self) -> int:
        """The number of tokens of the longest short text."""
        return max((len(encoding["input_ids"]) for encoding in self.encodings), default=1)

    def without_long(self) -> "Plan":
        """Return a plan of the short texts alone."""
        return replace(self, texts=self.texts[: self.short], max_tokens=self.longest_short)

    def shorter(self) -> "Plan":
        """Return a plan in which the long texts have half the length, or without them if that is short."""
        return replace(self, max_tokens=self.max_tokens // 2) if self.max_tokens > 2 * SHORT else self.without_long()

    def __str__(self) -> str:
        some = f"{len(self.texts)} texts" if len(self.texts) == self.of else f"{len(self.texts)} of {self.of} texts"
        if self.limit <= SHORT:
            return some
        gigabytes = f"{self.cost.memory / 1e9:.0f} GB and {_OPERATIONS:.2g} operations"
        why = f" instead of {self.limit:,}, for {gigabytes}" if self.max_tokens < self.limit else ""
        return f"{some} of up to {self.max_tokens:,} tokens{why}"


def planned(texts: Sequence[Text], encodings: Sequence[Encoding], limit: int, cost: Cost) -> Plan:
    """Return which texts, whose encodings are given, the networks run.

    Of the texts of more than ``SHORT`` tokens these are one, or if time allows also one pair, both among the longest.
    They are cut to what ``cost`` allows.
    """
    lengths = [len(encoding["input_ids"]) for encoding in encodings]
    short = [i for i, length in enumerate(lengths) if length <= SHORT]
    longest = max(lengths, default=0)
    cut = cost.longest(longest)
    long: list[int] = []
    if cut > SHORT:
        for with_pair in (False, True):
            here = [
                i for i, length in enumerate(lengths) if length == longest and (texts[i][1] is not None) == with_pair
            ]
            long += here[:1]
        long = long[: 2 if 2 * cost.operations(cut) <= _OPERATIONS else 1]
    plan = Plan(
        texts=[texts[i] for i in (*short, *long)],
        encodings=[encodings[i] for i in short],
        max_tokens=limit if longest <= SHORT else cut,
        limit=limit,
        of=len(texts),
        cost=cost,
    )
    return plan if long or longest <= SHORT else plan.without_long()
