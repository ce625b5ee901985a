"""Rows that a screen scored in int8 and again in fp32: their int8 losses, and how the new rows replace the old."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def int8_losses(table: pa.Table) -> pa.ChunkedArray:
    """Return each row's int8 loss [n] (nats), even if the row was rescored in fp32; null if int8 gave no loss."""
    first = pc.if_else(pc.equal(table["precision"], "int8").fill_null(False), table["loss"], None)
    return pc.coalesce(table["int8_loss"], first)


def replace_rows(table: pa.Table, rescored: pa.Table) -> pa.Table:
    """Return a table in which the rescored rows replace the earlier ones and keep their earlier ``int8_loss``.

    A second call with the same rows changes nothing. Both tables ascend by row, and every row of ``rescored`` is also
    in ``table``.
    """
    place = np.searchsorted(table["row"].to_numpy(), rescored["row"].to_numpy())
    before = int8_losses(table).take(pa.array(place))
    at = rescored.schema.get_field_index("int8_loss")
    rescored = rescored.set_column(at, rescored.schema.field(at), before)
    index = np.arange(len(table))
    index[place] = len(table) + np.arange(len(rescored))
    return pa.concat_tables([table, rescored]).take(pa.array(index)).combine_chunks()
