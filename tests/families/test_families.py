"""A few families of each sort by both routes; `make families` does so for all of them, and writes docs/models.md."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from exporter import ModelError, export_model
from exporter.routes.choose import choose
from scorer import ScoreOptions, score_dataset
from tests.families.build import build, rows, torch_losses
from tests.families.kinds import BY_NAME, KINDS
from tests.families.matrix import outcome
from tests.support import SOAK
from tests.support.tiny_models import quiet


@pytest.mark.parametrize("name", ["bert", pytest.param("bart", marks=SOAK), pytest.param("qwen2", marks=SOAK)])
@quiet
def test_by_torchs_route_each_loss_is_torchs(name: str, tmp_path: Path) -> None:
    found = outcome(BY_NAME[name], "torch", tmp_path)
    assert (found.refused, found.route) == (None, "torch")
    assert found.difference is not None
    assert found.difference < 1e-4
    if name == "bert":
        assert found.rewrite == "last layer on the first token only, without its keys and values"
        assert found.int8 is not None


@quiet
def test_both_routes_give_the_same_losses(tmp_path: Path) -> None:
    if [route.name for route in choose("auto", "bert")] != ["optimum", "torch"]:
        pytest.skip("optimum is not installed beside this transformers")
    model = build(BY_NAME["bert"], tmp_path / "model")
    table = rows()
    losses = []
    for route in ("optimum", "torch"):
        bundle = export_model(model, tmp_path / route, exporter=route, int8=False)
        assert bundle.exporter == route
        score_dataset(bundle, table, tmp_path / f"{route}-run", ScoreOptions(threads=1))
        losses.append(pq.read_table(tmp_path / f"{route}-run" / "scores").sort_by("row")["loss"].to_numpy())
    assert np.abs(losses[0] - losses[1]).max() < 1e-5
    assert np.abs(losses[0] - torch_losses(model, table)).max() < 1e-4


@pytest.mark.parametrize("name", [kind.name for kind in KINDS if kind.refused])
@quiet
def test_what_has_no_loss_of_its_own_is_refused_for_that_reason(name: str, tmp_path: Path) -> None:
    kind = BY_NAME[name]
    assert kind.refused is not None
    assert kind.refused in str(outcome(kind, "torch", tmp_path).refused)


@quiet
def test_a_big_bird_that_reads_short_texts_only_is_exact(tmp_path: Path) -> None:
    model = build(BY_NAME["big_bird, block_sparse"], tmp_path / "model")
    bundle = export_model(model, tmp_path / "bundle", max_tokens=14, int8=False)
    assert bundle.max_tokens == 14


@pytest.mark.soak
@quiet
def test_where_optimum_fails_torch_goes_on(tmp_path: Path) -> None:
    if [route.name for route in choose("auto", "bart")] != ["optimum", "torch"]:
        pytest.skip("optimum is not installed beside this transformers")
    said: list[str] = []
    bundle = export_model(
        build(BY_NAME["bart"], tmp_path / "model"), tmp_path / "bundle", progress=said.append, int8=False
    )
    assert bundle.exporter == "torch"
    assert [words.split(":")[0] for words in said if "optimum" in words or "torch" in words][-3:] == [
        "converting to ONNX with optimum",
        "optimum can't export it",
        "converting to ONNX with torch",
    ]


@quiet
def test_more_tokens_than_the_model_reads_are_refused(tmp_path: Path) -> None:
    model = build(BY_NAME["bert"], tmp_path / "model")
    for wrong in (2, 65):
        with pytest.raises(ModelError, match=rf"`max_tokens` is {wrong}; model reads from 4 to 64"):
            export_model(model, tmp_path / "bundle", max_tokens=wrong)
