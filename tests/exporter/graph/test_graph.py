"""The last layer on the first token only: exact for every architecture, less work by the count, or left alone."""

import collections
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from exporter.graph.first_token import PRUNED, keep_first_token
from exporter.graph.fold import FOLDED, fold_keys_and_values
from exporter.graph.writer import GraphRewrite
from exporter.parity.reference import TOLERANCE
from tests.support.graphs import EXACT, batch, converted, difference, opened, products, run, torch_logits
from tests.support.tiny_models import POSITIONS

HIDDEN, INNER, HEADS = 32, 64, 4  # of the tiny models
LENGTHS = (1, 2, 17, POSITIONS)

# How many square projections of the last layer, how many matrices of its feed-forward and how many of its products of
# queries with relative positions are for the first token only. In the architectures with one projection for queries,
# keys and values together the queries come with the others.
SAVED: dict[str, tuple[int, int, Callable[[int], int]]] = {
    "albert": (2, 2, lambda tokens: 0),
    "bert": (2, 2, lambda tokens: 0),
    "deberta": (1, 2, lambda tokens: 2 * min(tokens, POSITIONS)),
    "deberta-v2": (2, 2, lambda tokens: 2 * POSITIONS),
    "deberta-v3": (2, 2, lambda tokens: 2 * 16),
    "distilbert": (2, 2, lambda tokens: 0),
    "electra": (2, 2, lambda tokens: 0),
    "modernbert": (1, 3, lambda tokens: 0),
    "mpnet": (2, 2, lambda tokens: 0),
    "roberta": (2, 2, lambda tokens: 0),
    "xlm-roberta": (2, 2, lambda tokens: 0),
}
KINDS = sorted(SAVED)
FOLDING = sorted(set(KINDS) - {"deberta", "deberta-v2", "deberta-v3", "modernbert"})
TYPE_IDS = {"albert", "bert", "deberta-v2", "electra"}


@dataclass(frozen=True)
class Exported:
    """A tiny model in torch, its graph as optimum writes it and as it is after one rewrite and the other."""

    network: Any
    pad_id: int
    plain: onnx.ModelProto
    first: GraphRewrite
    folded: GraphRewrite

    @property
    def rewritten(self) -> list[onnx.ModelProto]:
        return [rewrite.model for rewrite in (self.first, self.folded) if rewrite.applied]


def export(kind: str, folder: Path, **overrides: Any) -> Exported:
    network, pad_id, plain = converted(kind, folder, **overrides)
    first = keep_first_token(plain)
    return Exported(network, pad_id, plain, first, fold_keys_and_values(first.model))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    root = tmp_path_factory.mktemp("graphs")
    return {kind: export(kind, root / kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_the_logits_stay_as_they_are(exported: dict[str, Exported], kind: str) -> None:
    model = exported[kind]
    plain, sessions = opened(model.plain), [opened(rewritten) for rewritten in model.rewritten]
    for tokens in LENGTHS:
        for type_ids in sorted({False, kind in TYPE_IDS}):
            feeds = batch(tokens, model.pad_id, type_ids=type_ids)
            logits = run(plain, feeds)
            assert tokens < 10 or np.ptp(logits[0], axis=0).min() > 0.1  # rows that are told apart
            for rewritten in sessions:
                assert difference(run(rewritten, feeds), logits) <= EXACT


@pytest.mark.parametrize("kind", KINDS)
def test_the_logits_are_torchs(exported: dict[str, Exported], kind: str) -> None:
    model = exported[kind]
    sessions = [opened(rewritten) for rewritten in model.rewritten]
    for tokens in LENGTHS:
        feeds = batch(tokens, model.pad_id, type_ids=kind in TYPE_IDS)
        read = {name: feeds[name] for name in (node.name for node in model.plain.graph.input)}
        logits = torch_logits(model.network, read)
        for rewritten in sessions:
            assert difference(run(rewritten, feeds), [logits]) <= TOLERANCE


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rows", "tokens"), [(1, 1), (2, 5), (3, POSITIONS)])
def test_the_last_layer_works_on_one_token(exported: dict[str, Exported], kind: str, rows: int, tokens: int) -> None:
    model, (square, wide, positions) = exported[kind], SAVED[kind]
    assert model.first.applied
    assert model.first.description == PRUNED
    a_token = square * HIDDEN**2 + wide * HIDDEN * INNER + 2 * tokens * HIDDEN + positions(tokens) * HIDDEN
    saved = products(model.plain, rows, tokens) - products(model.first.model, rows, tokens)
    assert saved == rows * (tokens - 1) * a_token


@pytest.mark.parametrize("kind", FOLDING)
@pytest.mark.parametrize(("rows", "tokens"), [(1, 1), (2, 5), (3, POSITIONS)])
def test_keys_and_values_are_folded(exported: dict[str, Exported], kind: str, rows: int, tokens: int) -> None:
    model = exported[kind]
    assert model.folded.applied
    assert model.folded.description == FOLDED
    before = 2 * tokens * HIDDEN**2 + 2 * tokens * HIDDEN  # the projections, and the products of one query with them
    after = 2 * HIDDEN**2 + 2 * tokens * HEADS * HIDDEN + HIDDEN  # the last is the keys' bias
    saved = products(model.first.model, rows, tokens) - products(model.folded.model, rows, tokens)
    assert saved == rows * (before - after)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - set(FOLDING)))
def test_other_keys_and_values_are_left_alone(exported: dict[str, Exported], kind: str) -> None:
    """Keys that relative positions meet as well, keys turned by rotary positions, values projected with the rest."""
    model = exported[kind]
    why = "unchanged: no plain keys or values of an attention with one query"
    assert model.folded == GraphRewrite(model.first.model, False, why)
    assert model.folded.model is model.first.model


@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_is_valid_and_has_nothing_idle(exported: dict[str, Exported], kind: str) -> None:
    plain = exported[kind].plain
    for rewritten in exported[kind].rewritten:
        onnx.checker.check_model(rewritten, full_check=True)
        graph = rewritten.graph
        assert list(graph.input) == list(plain.graph.input)  # batch and sequence are as dynamic as they were
        assert list(graph.output) == list(plain.graph.output)
        assert rewritten.opset_import == plain.opset_import
        read = collections.Counter(name for node in graph.node for name in (*node.input, *captured(node)))
        read.update(output.name for output in graph.output)
        assert all(any(read[name] for name in node.output) for node in graph.node)
        assert all(read[tensor.name] for tensor in graph.initializer)
        weights = {tensor.name: tensor for tensor in plain.graph.initializer}
        assert all(weights[tensor.name] == tensor for tensor in graph.initializer if tensor.name in weights)


def captured(node: onnx.NodeProto) -> list[str]:
    branches = [each.g for each in node.attribute if each.HasField("g")]
    return [name for branch in branches for inner in branch.node for name in (*inner.input, *captured(inner))]


def test_the_model_that_is_given_is_not_changed(exported: dict[str, Exported]) -> None:
    plain = exported["bert"].plain
    before = plain.SerializeToString()
    first = keep_first_token(plain).model
    assert first is not plain
    assert plain.SerializeToString() == before
    before = first.SerializeToString()
    assert fold_keys_and_values(first).model is not first
    assert first.SerializeToString() == before


def test_a_second_time_changes_nothing(exported: dict[str, Exported]) -> None:
    model = exported["bert"].folded.model
    for again in (keep_first_token(model), fold_keys_and_values(model)):
        assert again.model is model
        assert not again.applied


def test_keys_and_values_of_many_queries_are_left_alone(exported: dict[str, Exported]) -> None:
    assert not fold_keys_and_values(exported["bert"].plain).applied


@pytest.mark.parametrize("layers", [1, 3])
def test_any_number_of_layers(tmp_path: Path, layers: int) -> None:
    model = export("bert", tmp_path, num_hidden_layers=layers)
    assert len(model.rewritten) == 2
    feeds = batch(9, model.pad_id, type_ids=True)
    for rewritten in model.rewritten:
        assert difference(run(rewritten, feeds), run(model.plain, feeds)) <= EXACT


@pytest.mark.parametrize("kind", ["deberta-v3", "distilbert"])
def test_names_say_nothing(exported: dict[str, Exported], kind: str) -> None:
    """Every tensor and node under another name: what is found and done is the same."""
    plain = onnx.ModelProto()
    plain.CopyFrom(exported[kind].plain)
    kept = {node.name for node in (*plain.graph.input, *plain.graph.output)}
    names: dict[str, str] = {}
    rename(plain.graph, lambda name: name if name in kept or not name else names.setdefault(name, f"t{len(names)}"))
    onnx.checker.check_model(plain, full_check=True)
    rewrite = keep_first_token(plain)
    assert rewrite.applied
    assert operators(rewrite.model) == operators(exported[kind].first.model)
    feeds = batch(11, exported[kind].pad_id)
    assert difference(run(rewrite.model, feeds), run(exported[kind].plain, feeds)) <= EXACT


def rename(graph: onnx.GraphProto, new: Callable[[str], str]) -> None:
    for tensor in graph.initializer:
        tensor.name = new(tensor.name)
    for output in graph.output:
        output.name = new(output.name)
    for node in graph.node:
        node.name = ""
        node.input[:] = [new(name) for name in node.input]
        node.output[:] = [new(name) for name in node.output]
        for each in node.attribute:
            if each.HasField("g"):
                rename(each.g, new)


def operators(model: onnx.ModelProto) -> collections.Counter[str]:
    return collections.Counter(node.op_type for node in model.graph.node)


def test_weights_beside_the_graph_stay_where_they_are(exported: dict[str, Exported], tmp_path: Path) -> None:
    """As in a model past ONNX's 2 GB: its weights are a file of their own."""
    model, file = exported["roberta"], tmp_path / "model.onnx"
    outside = {"save_as_external_data": True, "location": "weights", "size_threshold": 0}
    onnx.save(onnx.load_model_from_string(model.plain.SerializeToString()), file, **outside)
    before = (tmp_path / "weights").read_bytes()
    rewrite = keep_first_token(onnx.load(file, load_external_data=False))
    assert rewrite.applied
    folded = fold_keys_and_values(rewrite.model, tmp_path)
    assert folded.applied
    onnx.save(folded.model, file)
    assert file.stat().st_size < 100_000
    assert (tmp_path / "weights").read_bytes() == before
    feeds = batch(17, model.pad_id)
    assert difference(run(file, feeds), run(model.plain, feeds)) <= EXACT


def test_onnxruntime_still_fuses_the_layer(exported: dict[str, Exported], tmp_path: Path) -> None:
    fused = {}
    for name, model in (("plain", exported["bert"].plain), ("folded", exported["bert"].folded.model)):
        options = ort.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / name)
        options.log_severity_level = 3
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        fused[name] = operators(onnx.load(tmp_path / name))
    for operator in ("BiasGelu", "LayerNormalization", "FusedGemm", "Softmax"):
        assert fused["folded"][operator] == fused["plain"][operator] > 0


def test_a_head_that_reads_another_token_is_left_alone(tmp_path: Path) -> None:
    model = export("gpt2", tmp_path)
    assert model.first == GraphRewrite(model.plain, False, "unchanged: its head does not read the first token alone")
    assert model.first.model is model.plain
