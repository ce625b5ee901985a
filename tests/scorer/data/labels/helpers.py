"""What these tests share."""

import pyarrow as pa

from scorer.data.labels.label_map import (
    LabelMap,
)

CLASSES = ("World", "Sports", "Business", "Sci/Tech")


STARS = ("1", "2", "3", "4", "5")


def mapped(label_map: LabelMap, values: object, kind: pa.DataType | None = None) -> list[int]:
    return label_map.indices(pa.array(values, kind))[0].tolist()  # type: ignore[no-any-return]
