"""Rows, and probabilities that some other model predicted for them."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

import lossrank as lr
from tests.support.tiny import CLASSES

Floats = NDArray[np.float64]
ROWS = 1000


def some_rows(labels: list[Any] | None = None) -> pa.Table:
    """Return rows whose labels are mostly those that ``some_probs`` finds likely."""
    given = some_probs().argmax(axis=1)
    given[::10] = (given[::10] + 1) % len(CLASSES)  # every tenth label is wrong
    names = [CLASSES[label] for label in given.tolist()] if labels is None else labels
    return pa.table({"text": [f"text {row}" for row in range(ROWS)], "label": names})


def some_probs(seed: int = 3) -> Floats:
    logits = np.random.default_rng(seed).normal(scale=3, size=(ROWS, len(CLASSES)))
    scaled = np.exp(logits)
    result: Floats = scaled / scaled.sum(axis=1, keepdims=True)
    return result


def by_hand(probs: Floats, labels: list[int]) -> dict[str, list[float]]:
    """Return the scores of rows as the definitions give them, in plain Python numbers, row by row."""
    scores: dict[str, list[float]] = {name: [] for name in ("loss", "label_prob", "top_prob", "margin", "entropy")}
    for row, label in zip(probs.tolist(), labels, strict=True):
        others = [p for i, p in enumerate(row) if i != label]
        scores["loss"].append(-float(np.log(row[label])))
        scores["label_prob"].append(row[label])
        scores["top_prob"].append(max(row))
        scores["margin"].append(row[label] - max(others))
        scores["entropy"].append(-sum(p * float(np.log(p)) for p in row if p > 0))
    return scores


def write(probs: Floats, file: Path) -> Path:
    """Write probabilities as the file's ending says; ``f.npy`` is in Fortran order and float32."""
    table = pa.table({name: probs[:, i] for i, name in enumerate(CLASSES)})
    if file.name == "f.npy":
        np.save(file, np.asfortranarray(probs.astype(np.float32)))
    elif file.suffix == ".npy":
        np.save(file, probs)
    elif file.suffix == ".parquet":
        pq.write_table(table, file, row_group_size=300)
    elif file.suffix == ".csv":
        stream = io.StringIO()
        table.to_pandas().to_csv(stream, index=False)
        file.write_text(stream.getvalue())
    else:
        table.to_pandas().to_json(file, orient="records", lines=True, double_precision=15)
    return file


def imported(data: Any, probs: Any, output: Path, **settings: Any) -> lr.Run:
    return lr.import_probs(data, probs, output, **{"progress": False, "classes": CLASSES, **settings})


def shard_bytes(run: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted((run / "scores").iterdir())]
