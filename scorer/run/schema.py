"""The columns of a shard and the statuses of a row."""

import json
from typing import Any

import pyarrow as pa

NO_LABEL_STATUS = "no_label"
UNKNOWN_LABEL_STATUS = "unknown_label"
BAD_LOGITS_STATUS = "bad_logits"
BAD_PROBS_STATUS = "bad_probs"
NO_MEMORY_STATUS = "no_memory"
OK = "ok"
NO_TEXT = "no_text"
INVALID_TEXT = "invalid_text"
UNREADABLE = "unreadable"
TEXT_HASH = 16  # bytes of the hash of a row's text
# How a shard is written. A dictionary makes columns of few values smaller, and all others larger and slower to write.
PARQUET: dict[str, Any] = {
    "compression": "zstd",
    "use_dictionary": ["label", "predicted", "n_tokens", "status", "precision"],
}
ALL_PROBS = 256  # classes up to which a shard has the probabilities of all of them
TOP_PROBS = 20  # most probable classes of a row whose probabilities are kept if the model has more classes
STATUSES = {  # every status, and what is true of the rows with it, in the order in which people read them
    OK: "have a loss",
    NO_LABEL_STATUS: "have predictions but no label",
    UNKNOWN_LABEL_STATUS: "have predictions and a label that is none of the model's classes",
    NO_TEXT: "have no text, only blanks, or a word for no value such as NaN",
    INVALID_TEXT: "contain bytes that are not UTF-8",
    UNREADABLE: "are lines that can't be parsed",
    BAD_LOGITS_STATUS: "got NaN or infinite logits from the model",
    BAD_PROBS_STATUS: "have imported probabilities that are not finite, not in 0..1, or do not sum to 1",
    NO_MEMORY_STATUS: "were too long for the available memory",
}


def score_schema(class_names: tuple[str, ...], *, text_hash: bool = False, top_probs: int | None = None) -> pa.Schema:
    """Return the schema of a shard; the class names, in index order, are in its metadata.

    ``text_hash`` tells whether the shards have that column, as those of runs that older versions began do not. If
    ``top_probs`` is None, ``probs`` has the probability of each class, in index order. Otherwise ``probs`` has those of
    the ``top_probs`` most probable classes, highest first, then that of the label if it is none of these, and
    ``probs_class`` has the indices of these classes.
    """
    each = pa.field("element", pa.float32())
    all_or_top = [("probs", pa.list_(pa.float32(), len(class_names)))]
    if top_probs is not None:
        all_or_top = [("probs_class", pa.list_(pa.field("element", pa.int32()))), ("probs", pa.list_(each))]
    return pa.schema(
        [
            ("row", pa.int64()),
            ("id", pa.string()),
            ("label", pa.int32()),
            ("predicted", pa.int32()),
            ("loss", pa.float32()),
            ("label_prob", pa.float32()),
            ("top_prob", pa.float32()),
            ("margin", pa.float32()),
            ("entropy", pa.float32()),
            ("n_tokens", pa.int32()),
            ("truncated", pa.bool_()),
            ("status", pa.string()),
            ("precision", pa.string()),
            ("int8_loss", pa.float32()),
            *all_or_top,
            *([("text_hash", pa.binary(TEXT_HASH))] if text_hash else []),
        ],
        metadata={"class_names": json.dumps(list(class_names), ensure_ascii=False)},
    )
