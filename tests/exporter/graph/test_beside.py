"""Weights beside a graph: whatever wrote them, a bundle is the same as with its weights in the graph."""

from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
from onnx import numpy_helper

from exporter import export_model
from exporter.graph import beside
from exporter.graph.beside import is_beside, settle
from exporter.graph.first_token import keep_first_token
from exporter.graph.writer import GraphRewrite
from exporter.routes.choose import choose
from scorer import ModelBundle, ScoreOptions, score_dataset
from tests.exporter.graph.test_export_graph import DONE
from tests.support import SOAK
from tests.support.graphs import batch, converted, difference, run
from tests.support.tiny_models import CORPUS, build, quiet

ROUTES = [route.name for route in choose("auto", "bert")]
FILES = ["model.int8.onnx", "model.int8.onnx.data", "model.onnx", "model.onnx.data", "tokenizer.json"]


@pytest.fixture
def forced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the weights of a tiny model beside its graph, as those of a large one are; optimum has a switch for it."""
    monkeypatch.setenv("FORCE_ONNX_EXTERNAL_DATA", "1")
    monkeypatch.setattr(beside, "LARGEST", 10_000)
    monkeypatch.setattr(beside, "SMALL", 1_000)


def losses(bundle: ModelBundle, out: Path, precision: str) -> list[float]:
    table = [{"text": text, "label": "World"} for text in CORPUS]
    score_dataset(bundle, table, out, ScoreOptions(threads=1, precision=precision))
    return [float(loss) for loss in pq.read_table(out / "scores").sort_by("row")["loss"].to_pylist()]


@pytest.mark.parametrize("route", [pytest.param(name, marks=SOAK) if name == "torch" else name for name in ROUTES])
@quiet
def test_a_bundle_is_the_same_as_with_its_weights_in_the_graph(
    route: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    model = build("bert", tmp_path / "model")
    plain = export_model(model, tmp_path / "plain", exporter=route)  # type: ignore[arg-type]
    request.getfixturevalue("forced")
    bundle = export_model(model, tmp_path / "bundle", exporter=route)  # type: ignore[arg-type]
    assert bundle.exporter == plain.exporter == route
    assert sorted(bundle.files) == FILES
    assert sorted(file.name for file in bundle.path.iterdir()) == ["bundle.json", *FILES]
    assert bundle.variants["fp32"].graph == plain.variants["fp32"].graph == DONE
    assert bundle.variants["int8"].graph == plain.variants["int8"].graph
    assert bundle.token_parameters == plain.token_parameters is not None
    assert len({file.stat().st_mode for file in bundle.path.iterdir()}) == 1
    reopened = ModelBundle.load(bundle.path)  # checks the hash of every file
    for precision in ("fp32", "int8"):
        found = losses(reopened, tmp_path / f"{precision}-run", precision)
        wanted = losses(plain, tmp_path / f"{precision}-wanted", precision)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)
    small = onnx.load(bundle.path / "model.int8.onnx", load_external_data=False)
    places = {
        each.value
        for tensor in small.graph.initializer
        for each in tensor.external_data
        if is_beside(tensor) and each.key == "location"
    }
    assert places == {"model.onnx.data", "model.int8.onnx.data"}  # the embeddings are there once, for both graphs


@quiet
def test_a_rewrite_that_is_not_exact_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forced: None) -> None:
    def spoilt(model: onnx.ModelProto) -> GraphRewrite:
        broken = onnx.ModelProto()
        broken.CopyFrom(model)
        for tensor in broken.graph.initializer:
            if tensor.name.endswith("LayerNorm.weight"):  # small, so it is in the graph
                tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 1.01, tensor.name))
        return GraphRewrite(broken, True, "spoilt")

    monkeypatch.setattr("exporter.graph.first_token.keep_first_token", spoilt)
    bundle = export_model(build("bert", tmp_path / "model"), tmp_path / "bundle")
    assert str(bundle.variants["fp32"].graph).startswith("unchanged: spoilt is not exact here (")
    assert bundle.parity().max_logit_difference < 1e-4
    assert sorted(bundle.files) == FILES
    assert sorted(file.name for file in bundle.path.iterdir()) == ["bundle.json", *FILES]


@pytest.mark.parametrize("one_file", [True, False])
def test_weights_in_any_files_come_to_be_in_one(
    one_file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As torch leaves them: a file for each tensor, those of Constant nodes too."""
    monkeypatch.setattr(beside, "SMALL", 1_000)
    _, pad_id, plain = converted("bert", tmp_path)
    made = onnx.ModelProto()
    made.CopyFrom(plain)
    constants = [each for each in made.graph.initializer if len(each.dims) == 1]
    for tensor in constants[:2]:
        made.graph.initializer.remove(tensor)
        made.graph.node.insert(0, onnx.helper.make_node("Constant", [], [tensor.name], value=tensor))
    (tmp_path / "work").mkdir()
    onnx.save(
        made, tmp_path / "work" / "model.onnx", save_as_external_data=True, all_tensors_to_one_file=one_file,
        location="weights" if one_file else None, size_threshold=0, convert_attribute=True,
    )  # fmt: skip
    file = tmp_path / "settled" / "model.onnx"
    file.parent.mkdir()
    settle(tmp_path / "work" / "model.onnx", file)
    assert sorted(each.name for each in file.parent.iterdir()) == ["model.onnx", "model.onnx.data"]
    settled = onnx.load(file, load_external_data=False)
    assert {is_beside(each) for each in settled.graph.initializer} == {True, False}
    assert not any(is_beside(node.attribute[0].t) for node in settled.graph.node if node.op_type == "Constant")
    assert keep_first_token(settled).applied
    feeds = batch(17, pad_id)
    assert difference(run(file, feeds), run(plain, feeds)) == 0


def test_a_graph_too_large_to_hold_its_weights_gets_them_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, pad_id, plain = converted("bert", tmp_path)
    onnx.save(plain, tmp_path / "made.onnx")
    settle(tmp_path / "made.onnx", tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx.data").exists()
    monkeypatch.setattr(beside, "LARGEST", 10_000)
    monkeypatch.setattr(beside, "SMALL", 1_000)
    onnx.save(plain, tmp_path / "made.onnx")
    settle(tmp_path / "made.onnx", tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx.data").stat().st_size > (tmp_path / "model.onnx").stat().st_size
    feeds = batch(17, pad_id)
    assert difference(run(tmp_path / "model.onnx", feeds), run(plain, feeds)) == 0
