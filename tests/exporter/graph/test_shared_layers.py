"""ALBERT's groups: layers that share weights are rewritten without touching each other, and share them in int8 too."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from exporter.fetch import fetch
from exporter.graph.first_token import keep_first_token
from exporter.graph.fold import fold_keys_and_values
from exporter.graph.quantize import quantize
from exporter.load import load
from exporter.routes.choose import choose
from tests.support import SOAK
from tests.support.graphs import EXACT, batch, difference, opened, run
from tests.support.tiny_models import build, quiet

LAYERS, GROUPS = 4, 2


@pytest.mark.parametrize("route", ["optimum", pytest.param("torch", marks=SOAK)])
@quiet
def test_two_groups_of_layers(route: str, tmp_path: Path) -> None:
    chosen = {each.name: each for each in choose("auto", "albert")}
    if route not in chosen:
        pytest.skip("optimum is not installed beside this transformers")
    made = build("albert", tmp_path / "model", num_hidden_layers=LAYERS, num_hidden_groups=GROUPS)
    classifier = load(fetch(made))
    chosen[route].convert(classifier.model, tmp_path / "model.onnx", ("input_ids", "attention_mask", "token_type_ids"))
    plain = onnx.load(tmp_path / "model.onnx")
    folded = fold_keys_and_values(keep_first_token(plain).model)
    assert folded.applied
    small = quantize(folded.model).model
    matrices = [t for t in small.graph.initializer if t.data_type == TensorProto.INT8 and len(t.dims) == 2]
    # Six matrices a group and the embeddings' projection; the last layer's folded keys and values stay in fp32.
    assert len({each.raw_data for each in matrices}) == len(matrices) == 6 * GROUPS + 1
    assert sum(node.op_type == "MatMulIntegerToFloat" for node in small.graph.node) == 6 * LAYERS - 2 + 1
    whole, cut, quantised = opened(plain), opened(folded.model), opened(small)
    for tokens in (1, 17):
        feeds = batch(tokens, classifier.pad_id)
        wanted = run(whole, feeds)
        assert difference(run(cut, feeds), wanted) <= EXACT
        assert np.abs(run(quantised, feeds)[0] - wanted[0]).mean() < 0.08
