"""What these tests share: window: every row of a range, with its status, its label and its id."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from scorer import Source, open_source
from scorer.data.columns import choose_columns
from scorer.data.labels.label_map import LabelMap, make_label_map
from scorer.pipeline.window import Window, read_windows

CLASSES = ("World", "Sports", "Business", "Sci/Tech")


NAMES = make_label_map(CLASSES, None)


def windows(
    source: Source | pa.Table | Path,
    ranges: list[tuple[int, int]] | None = None,
    label_map: LabelMap | None = NAMES,
    **columns: Any,
) -> list[Window]:
    source = source if isinstance(source, Source) else open_source(source)
    chosen = choose_columns(source.schema, **columns)
    return list(read_windows(source, chosen, label_map, ranges or [(0, source.num_rows)]))
