"""count: the weights each token is multiplied with, as torch's own modules tell."""

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
from msgspec.structs import replace

from cli.commands.demo import BUNDLE
from exporter import export_model
from exporter.graph.parameters import count_token_parameters
from scorer import BundleError, ModelBundle
from tests.support import SOAK
from tests.support.graphs import Net, converted
from tests.support.tiny import make_bundle
from tests.support.tiny_models import KINDS, build, quiet

ROWS, TOKENS = 3, 13  # no other dimension of the models


def torch_count(network: Any) -> int:
    """Sum the weights of the linear layers that are given all tokens, once for every call."""
    import torch
    from transformers.pytorch_utils import Conv1D

    counted: list[int] = []

    def count(module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        if inputs[0].shape[:-1].numel() == ROWS * TOKENS:
            counted.append(module.weight.numel())

    hooks = [
        module.register_forward_hook(count)
        for module in network.modules()
        if isinstance(module, torch.nn.Linear | Conv1D)
    ]
    input_ids = torch.full((ROWS, TOKENS), 6)
    with torch.inference_mode():
        network(input_ids=input_ids, attention_mask=torch.ones(ROWS, TOKENS, dtype=torch.int64))
    for hook in hooks:
        hook.remove()
    return sum(counted)


QUICK = ("bert", "gpt2")


@pytest.mark.parametrize(
    "kind", [kind if kind in QUICK else pytest.param(kind, marks=SOAK) for kind in sorted(KINDS.keys() - {"bart"})]
)
@quiet
def test_it_is_what_torchs_linear_layers_hold(kind: str, tmp_path: Path) -> None:
    network, _, model = converted(kind, tmp_path)
    expected = torch_count(network)
    assert expected > 0
    assert count_token_parameters(model) == expected


@quiet
def test_a_layer_of_bert_is_twelve_times_the_square_of_its_width(tmp_path: Path) -> None:
    _, _, model = converted("bert", tmp_path, intermediate_size=128)
    assert count_token_parameters(model) == 2 * 12 * 32**2


@quiet
def test_a_matrix_that_layers_share_counts_for_each(tmp_path: Path) -> None:
    _, _, model = converted("albert", tmp_path, num_hidden_layers=5, intermediate_size=128)
    assert count_token_parameters(model) == 5 * 12 * 32**2 + 16 * 32  # and the embeddings' projection to the width


@quiet
def test_a_graph_that_does_not_run_on_zeros_has_no_count(tmp_path: Path) -> None:
    _, _, model = converted("bart", tmp_path)  # its head reads the last </s>, and a text of zeros has none
    assert count_token_parameters(model) is None


def test_only_weights_that_meet_every_token_count() -> None:
    net = Net()
    hidden = net.attention()  # three products of 4 by 4, and two of tokens with tokens
    turned = net.add("Transpose", net.weight(6, 4), perm=[1, 0])
    wide = net.add("MatMul", hidden, net.add("Identity", turned))
    flat = net.add("Reshape", wide, net.constant([-1, 6]))
    back = net.add("Gemm", flat, net.weight(3, 6), transB=1)
    tokens = net.add("Reshape", back, net.add("Shape", net.add("Gather", net.weight(50, 3), "input_ids")))
    first = net.add("Gather", tokens, net.constant(0), axis=1)
    logits = net.add("Gemm", first, net.weight(3, 5))  # once a text
    assert count_token_parameters(net.model(logits)) == 3 * 4 * 4 + 4 * 6 + 6 * 3


def test_a_graph_without_such_weights_has_no_count() -> None:
    net = Net()
    assert count_token_parameters(net.model(net.add("Gather", net.weight(50, 4), "input_ids"))) is None


@quiet
def test_an_export_counts_before_the_graph_is_rewritten(tmp_path: Path) -> None:
    network, _, _ = converted("bert", tmp_path)
    bundle = export_model(build("bert", tmp_path / "in" / "model"), tmp_path / "bundle")
    assert bundle.variants["fp32"].graph.startswith("last layer on the first token only")
    assert ModelBundle.load(tmp_path / "bundle").token_parameters == bundle.token_parameters == torch_count(network)
    left = count_token_parameters(onnx.load(bundle.model_file()))
    assert left is not None
    assert left < torch_count(network)


def test_the_demos_bundle_has_its_three_layers() -> None:
    bundle = ModelBundle.load(BUNDLE)
    assert bundle.token_parameters == 3 * 12 * 128**2
    # What its graph still does for every token: all but the last layer.
    assert count_token_parameters(onnx.load(bundle.model_file())) == 2 * 12 * 128**2


class TestBundle:
    def test_one_from_before_it_was_counted_loads(self, tmp_path: Path) -> None:
        bundle = make_bundle(tmp_path / "bundle")
        manifest = json.loads((bundle.path / "bundle.json").read_text())
        assert manifest.pop("token_parameters") is None
        (bundle.path / "bundle.json").write_text(json.dumps(manifest))
        assert ModelBundle.load(bundle.path) == bundle
        assert bundle.token_parameters is None

    def test_it_does_not_change_what_a_run_is_held_to(self, tiny_bundle: ModelBundle) -> None:
        assert replace(tiny_bundle, token_parameters=7).sha256 == tiny_bundle.sha256

    @pytest.mark.parametrize("value", [0, -1, 1.5, "7", True, [7]])
    def test_what_is_no_count_is_damage(self, tmp_path: Path, value: Any) -> None:
        bundle = replace(make_bundle(tmp_path / "bundle"), token_parameters=value)
        bundle.save()
        with pytest.raises(BundleError, match=r"bundle\.json is damaged: token_parameters is .*; export the model"):
            ModelBundle.load(bundle.path)
