"""Export one family by one route, score 200 rows with its bundle, and compare each loss with torch's.

`python -m tests.families.matrix ROUTE OUTPUT [KIND ...]` does so for every family, and writes one JSON line for each.
"""

import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from exporter import ExportError, export_model
from scorer import ScoreOptions, score_dataset
from tests.families.build import build, rows, torch_losses
from tests.families.kinds import BY_NAME, KINDS, Kind


@dataclass(frozen=True)
class Outcome:
    """What became of a family: the largest difference of a loss (nats), or why it was refused."""

    kind: str
    model_type: str
    route: str
    refused: str | None = None
    difference: float | None = None
    rewrite: str | None = None
    int8: float | None = None  # the mean difference of a loss in int8, None if there is no such graph


def outcome(kind: Kind, route: str, folder: Path) -> Outcome:
    """Build, export, score and compare one family."""
    model = build(kind, folder / "model")
    model_type = json.loads((model / "config.json").read_text())["model_type"]
    try:
        bundle = export_model(model, folder / "bundle", exporter=route)  # type: ignore[arg-type]
    except ExportError as error:
        return Outcome(
            kind.name, model_type, route, refused=str(error).partition("can't be exported: ")[2] or str(error)
        )
    table = rows()
    score_dataset(bundle, table, folder / "run", ScoreOptions(threads=1))
    scored = pq.read_table(folder / "run" / "scores").sort_by("row")
    difference = np.abs(scored["loss"].to_numpy() - torch_losses(model, table)).max()
    variant = bundle.variants.get("int8")
    return Outcome(
        kind.name,
        model_type,
        str(bundle.exporter),
        difference=float(difference),
        rewrite=str(bundle.variants["fp32"].graph),
        int8=None if variant is None else float(bundle.parity("int8").mean_loss_difference),  # type: ignore[arg-type]
    )


def main(route: str, output: str, *names: str) -> None:
    with Path(output).open("a", encoding="utf-8") as stream:
        for kind in [BY_NAME[name] for name in names] or KINDS:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    found = json.dumps(asdict(outcome(kind, route, Path(folder))))
                except Exception as error:  # of a family that this environment has not
                    found = json.dumps(
                        {"kind": kind.name, "route": route, "error": f"{type(error).__name__}: {error}"[:300]}
                    )
                print(found, file=stream, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
