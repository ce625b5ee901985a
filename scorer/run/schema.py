"""The columns of a shard, the statuses of a row, and how rescored rows replace earlier ones."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

NO_LABEL_STATUS = "no_label"
UNKNOWN_LABEL_STATUS = "unknown_label"
BAD_LOGITS_STATUS = "bad_logits"
NO_MEMORY_STATUS = "no_memory"
OK = "ok"
NO_TEXT = "no_text"
INVALID_TEXT = "invalid_text"
UNREADABLE = "unreadable"
STATUSES = {  # every status, and what is true of the rows with it, in the order in which people read them
    OK: "have a loss",
    NO_LABEL_STATUS: "have predictions but no label",
    UNKNOWN_LABEL_STATUS: "have predictions and a label that is none of the model's classes",
    NO_TEXT: "have no text, or only blanks",
    INVALID_TEXT: "contain bytes that are not UTF-8",
    UNREADABLE: "are lines that can't be parsed",
    BAD_LOGITS_STATUS: "got NaN or infinite logits from the model",
    NO_MEMORY_STATUS: "were too long for the available memory",
}


def score_schema(class_names: tuple[str, ...]) -> pa.Schema:
    """Return the schema of a shard; the class names, in index order, are in its metadata."""
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
            ("probs", pa.list_(pa.float32(), len(class_names))),
        ],
        metadata={"class_names": json.dumps(list(class_names), ensure_ascii=False)},
    )


def int8_losses(table: pa.Table) -> pa.ChunkedArray:
    """Return each row's int8 loss [n] (nats), also of rows rescored in fp32; null if int8 gave none."""
    first = pc.if_else(pc.equal(table["precision"], "int8").fill_null(False), table["loss"], None)
    return pc.coalesce(table["int8_loss"], first)


def replace_rows(table: pa.Table, rescored: pa.Table) -> pa.Table:
    """Return a table in which the rescored rows replace the earlier ones and keep their earlier ``int8_loss``.

    A second call with the same rows changes nothing. Both tables ascend by row, and the table has all rows of
    ``rescored``.
    """
    place = np.searchsorted(table["row"].to_numpy(), rescored["row"].to_numpy())
    before = int8_losses(table).take(pa.array(place))
    at = rescored.schema.get_field_index("int8_loss")
    rescored = rescored.set_column(at, rescored.schema.field(at), before)
    index = np.arange(len(table))
    index[place] = len(table) + np.arange(len(rescored))
    return pa.concat_tables([table, rescored]).take(pa.array(index)).combine_chunks()
