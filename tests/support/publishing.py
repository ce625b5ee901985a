"""What the tests of apply and diff share: decisions made as the review page makes them, and data with class names."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from lossrank.review.decision import RELABELLED
from lossrank.review.store import DecisionStore
from scorer import RunDirectory

ANNOTATOR = "ann"


def decide(run: Path, decisions: Mapping[int, str]) -> None:
    """Decide of rows: each ``kept``, ``discarded``, or a class name to relabel it to."""
    opened = RunDirectory.open(run)
    with DecisionStore(opened) as store:
        for row, what in decisions.items():
            if what in opened.class_names:
                store.decide(row, RELABELLED, what, annotator=ANNOTATOR)
            else:
                store.decide(row, what, annotator=ANNOTATOR)


def with_features(table: pa.Table, **names: Sequence[str]) -> pa.Table:
    """Return a table whose columns have class names, as `datasets` writes them."""
    features: dict[str, object] = {
        column: {"dtype": str(table.schema.field(column).type), "_type": "Value"} for column in table.column_names
    }
    features |= {
        column: {"num_classes": len(each), "names": list(each), "_type": "ClassLabel"} for column, each in names.items()
    }
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def files(folder: Path) -> list[str]:
    """Return the paths of a folder's files, from the folder."""
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
