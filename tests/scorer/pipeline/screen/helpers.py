"""What these tests share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scorer.data.opening.open import open_source
from scorer.pipeline.rescored import replace_rows
from scorer.pipeline.screen import control_sample, screen
from scorer.run.directory import RunDirectory
from scorer.run.manifest import ScreenReport, ShardNotes
from scorer.run.schema import score_schema
from scorer.run.start import locked_run
from tests.support.manifests import manifest

CLASSES = ("a", "b")


Rows = NDArray[np.int64]


Losses = NDArray[np.float64]


def loss_of(doubts: Losses) -> Losses:
    """Undo ``doubt``; rounded to what a shard holds."""
    return np.logaddexp(0.0, doubts).astype(np.float32).astype(np.float64)


@dataclass
class Screened:
    """A run of known losses (NaN: bad logits) in nats, whose rows are scored again by looking them up."""

    int8: Losses
    fp32: Losses
    control: Rows
    labelled: NDArray[np.bool_] = field(default_factory=lambda: np.ones(0, np.bool_))
    shard_rows: int = 100
    asked: list[int] = field(default_factory=list)
    fail_after: int | None = None  # shards written

    def __post_init__(self) -> None:
        if not len(self.labelled):
            self.labelled = np.ones(len(self.int8), np.bool_)

    @property
    def sampled(self) -> Rows:
        return self.control[self.labelled[self.control]]

    def table(self, rows: Rows, losses: Losses, precision: str) -> pa.Table:
        """Return rows as ``score_table`` makes them, null where a screen does not look."""
        labelled, bad = self.labelled[rows], np.isnan(losses[rows])
        columns: dict[str, Any] = {
            "row": rows,
            "label": pa.array(np.zeros(len(rows)), pa.int32(), mask=~labelled),
            "loss": pa.array(losses[rows], pa.float32(), mask=~labelled | bad),
            "status": np.select([bad, labelled], ["bad_logits", "ok"], "no_label").tolist(),
            "precision": pa.array([precision] * len(rows), pa.string(), mask=bad),
        }
        schema = score_schema(CLASSES)
        return pa.table([pa.array(columns.get(each.name, pa.nulls(len(rows))), each.type) for each in schema], schema)

    @contextmanager
    def begun(self, path: Path) -> Iterator[RunDirectory]:
        """Open the run, what is new of it in int8."""
        plan = manifest(
            {
                "bundle": {"path": "bundle", "sha256": "b" * 64, "model": "m", "class_names": list(CLASSES)},
                "data": {"name": "d", "fingerprint": "f" * 64, "rows": len(self.int8), "spec": {"kind": "table"}},
                "columns": {"text": "text", "text_pair": None, "label": "label", "id": None},
                "labels": None,
                "options": {
                    "shard_rows": self.shard_rows,
                    "batch_tokens": 512,
                    "precision": "screen",
                    "screen_top": 10,
                },
                "machine": {},
            }
        )
        with locked_run(path, plan, open_source(pa.table({"text": [""] * len(self.int8)}))) as run:
            for index in run.missing_shards():
                rows = np.arange(*run.shard_range(index))
                notes = ShardNotes(tokens=index)
                run.write_shard(index, self.table(rows, self.int8, "int8"), notes)
            yield run

    def rescorer(self, run: RunDirectory) -> Callable[[Callable[[int], Rows]], None]:
        def rescore(wanted: Callable[[int], Rows]) -> None:
            for index in range(run.num_shards):
                rows = wanted(index)
                if not len(rows):
                    continue
                if self.fail_after is not None and len(self.asked) >= self.fail_after:
                    raise KeyboardInterrupt
                again = self.table(rows, self.fp32, "fp32")
                run.write_shard(index, replace_rows(run.read_shard(index), again), run.notes(index))
                self.asked.append(len(rows))

        return rescore

    def screen(self, path: Path, top_k: int) -> ScreenReport:
        with self.begun(path) as run:
            return screen(run, top_k, self.control, self.rescorer(run))


def scores(path: Path) -> pa.Table:
    run = RunDirectory(path, {})
    files = sorted((run.path / "scores").iterdir())
    return pa.concat_tables([pa.parquet.read_table(file) for file in files])


def in_fp32(path: Path) -> Rows:
    precision = np.array(scores(path)["precision"].to_pylist(), dtype=object)
    return np.flatnonzero(precision == "fp32")


def worst(losses: Losses, k: int) -> set[int]:
    return set(np.argsort(-np.nan_to_num(losses, nan=-1.0), kind="stable")[:k].tolist())


def made(n: int, seed: int, noise: Callable[[np.random.Generator], Losses], shard_rows: int = 100) -> Screened:
    """Rows as a good classifier's, most of them certain; ``noise`` is by how much int8 is too low, in log-odds."""
    random = np.random.default_rng(seed)
    true = random.normal(-5.0, 3.0, size=n)
    return Screened(loss_of(true - noise(random)), loss_of(true), control_sample(n, seed), shard_rows=shard_rows)


def normal(scale: float, n: int) -> Callable[[np.random.Generator], Losses]:
    return lambda random: random.normal(0.0, scale, size=n)
