"""Export every kind of classifier by every route that is installed, score 200 rows, and compare each loss with torch's.

`python -m tests.families.matrix OUTPUT [NAME ...]` appends a JSON line for each kind and route to a file, and skips the
kinds that are in it. NAME chooses the kinds whose names begin with it. It uses all cores, a process for each.
"""

import json
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from exporter import ExportError, export_model
from exporter.routes.choose import choose
from scorer import ScoreOptions, score_dataset
from tests.families.build import build, rows, torch_losses
from tests.families.forms import BY_NAME, KINDS
from tests.families.kind import Kind

EXACT, SAME = 1e-4, 1e-5  # nats: a loss and torch's, the same loss by both routes


@dataclass(frozen=True)
class Outcome:
    """What became of a kind by one route.

    ``difference`` is the largest difference of a loss from torch's, ``apart`` from the other route's, and ``int8`` the
    mean difference of a loss in int8, all in nats; ``apart`` and ``int8`` are None if there is no other bundle or
    graph. ``refused`` is why it can't be exported, ``absent`` why this transformers can't build it, ``error`` a fault.
    """

    kind: str
    route: str
    transformers: str = ""
    torch: str = ""
    model_type: str | None = None
    difference: float | None = None
    apart: float | None = None
    rewrite: str | None = None
    int8: float | None = None
    refused: str | None = None
    absent: str | None = None
    error: str | None = None


def outcomes(kind: Kind, folder: Path, routes: tuple[str, ...] = ("optimum", "torch")) -> list[Outcome]:
    """Build a kind, and export, score and compare it by each route."""
    import transformers

    about = {"kind": kind.name, **_versions()}
    name = f"{kind.prefix}ForSequenceClassification"
    if not kind.saved_by_5 and not hasattr(transformers, name):
        return [Outcome(**about, route=route, absent=f"there is no {name}") for route in routes]
    model = build(kind, folder / "model")
    about["model_type"] = json.loads((model / "config.json").read_text())["model_type"]
    table = rows(kind.classes)
    losses: dict[str, NDArray[np.float64]] = {}
    found = []
    for route in routes:
        try:
            bundle = export_model(model, folder / route, exporter=route)  # type: ignore[arg-type]
        except ExportError as error:
            found.append(
                Outcome(
                    **about, route=route, refused=_short(error).partition("can't be exported: ")[2] or _short(error)
                )
            )
            continue
        score_dataset(bundle, table, folder / f"{route}-run", ScoreOptions(threads=1))
        losses[route] = pq.read_table(folder / f"{route}-run" / "scores").sort_by("row")["loss"].to_numpy()
        screen = bundle.parity("int8") if "int8" in bundle.variants else None
        found.append(
            Outcome(
                **about,
                route=route,
                rewrite=bundle.variants["fp32"].graph,
                int8=None if screen is None else _rounded(screen.mean_loss_difference),
            )
        )
    if losses:
        losses["reference"] = torch_losses(model, table)
    return [_compared(outcome, losses) for outcome in found]


def _compared(outcome: Outcome, losses: dict[str, NDArray[np.float64]]) -> Outcome:
    """Return an outcome with the largest differences of its losses from torch's and from the other route's."""
    own = losses.get(outcome.route)
    if own is None:
        return outcome
    other = next((values for name, values in losses.items() if name not in (outcome.route, "reference")), None)
    return replace(
        outcome,
        difference=_rounded(np.abs(own - losses["reference"]).max()),
        apart=None if other is None else _rounded(np.abs(own - other).max()),
    )


def fault(outcome: Outcome) -> str | None:
    """Return what is wrong with an outcome; None if it is exact, or refused for the reason that its kind states.

    optimum may refuse any kind, because torch is tried after it.
    """
    expected = BY_NAME[outcome.kind].reason(outcome.transformers)
    if outcome.error or outcome.absent:
        return outcome.error
    if outcome.refused is None:
        if expected:
            return f"exported, but it should be refused: {expected}"
        if not (outcome.difference or 0) <= EXACT:
            return f"a loss is {outcome.difference:.2g} away from torch's"
        return f"the routes are {outcome.apart:.2g} apart" if (outcome.apart or 0) > SAME else None
    right = outcome.route == "optimum" or (expected is not None and expected in outcome.refused)
    return None if right else f"refused: {outcome.refused}"


def found_of(name: str) -> list[dict[str, Any]]:
    """Return the outcomes of a kind as JSON objects; a failure of any sort is an outcome too."""
    import torch

    torch.set_num_threads(1)
    routes = tuple(route.name for route in choose("auto", "bert"))
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = outcomes(BY_NAME[name], Path(folder), routes)
        except Exception as error:
            found = [Outcome(name, route, **_versions(), error=_short(error)) for route in routes]
    return [{key: value for key, value in asdict(outcome).items() if value is not None} for outcome in found]


def main(output: str, *names: str) -> None:
    file = Path(output)
    file.parent.mkdir(parents=True, exist_ok=True)
    done = {json.loads(line)["kind"] for line in file.read_text().splitlines()} if file.exists() else set()
    left = [kind.name for kind in KINDS if kind.name not in done and kind.name.startswith(names or "")]
    with (
        ProcessPoolExecutor(max_workers=os.cpu_count(), mp_context=get_context("spawn")) as processes,
        file.open("a", encoding="utf-8") as stream,
    ):
        for i, job in enumerate(as_completed([processes.submit(found_of, name) for name in left]), 1):
            found = job.result()
            stream.write("".join(f"{json.dumps(outcome)}\n" for outcome in found))  # all of a kind, or none of it
            stream.flush()
            for outcome in found:
                verdict = fault(Outcome(**outcome)) or "as expected"
                print(f"{i} of {len(left)}: {outcome['kind']}, {outcome['route']}: {verdict}", flush=True)


def _versions() -> dict[str, str]:
    return {"transformers": version("transformers"), "torch": version("torch").partition("+")[0]}


def _rounded(number: float) -> float:
    return float(f"{number:.1e}")


def _short(error: Exception) -> str:
    return (str(error) if isinstance(error, ExportError) else f"{type(error).__name__}: {error}")[:400]


if __name__ == "__main__":
    main(*sys.argv[1:])
