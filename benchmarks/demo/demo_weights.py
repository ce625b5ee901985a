"""Recover the demo classifier's torch weights from the graph in its bundle.

The graph is optimum's export with lossrank's rewrites: the weights of linear layers are transposed and unnamed, and the
weights of the last layer's keys and values are folded. The recovered model is compared with the graph.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scorer import ModelBundle

_FOLDED = {"key": ("constant/folded", "constant/folded_2"), "value": ("constant/folded_3", "constant/folded_4")}


def demo_model(bundle: ModelBundle) -> Any:
    """Return the demo's ``BertForSequenceClassification``.

    Raises:
        ValueError: the graph is not laid out as this file expects.
        ValueError: the logits of the recovered model differ from the graph's.
    """
    import onnx
    import torch
    from onnx import numpy_helper
    from transformers import BertConfig, BertForSequenceClassification

    graph = onnx.load(bundle.model_file()).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    state = {name: array for name, array in arrays.items() if name.startswith(("bert.", "classifier."))}
    products = {node.output[0]: node.input[1] for node in graph.node if node.op_type == "MatMul"}
    for node in graph.node:
        if node.op_type == "Add":
            weights = [arrays[products[name]] for name in node.input if products.get(name) in arrays]
            biases = [name for name in node.input if name.startswith("bert.") and name.endswith(".bias")]
            if weights and biases:
                state[biases[0].removesuffix("bias") + "weight"] = weights[0].T
    layers = 1 + max(int(found[1]) for name in state if (found := re.search(r"layer\.(\d+)\.", name)))
    words, width = state["bert.embeddings.word_embeddings.weight"].shape
    heads = arrays[_FOLDED["key"][0]].shape[0]
    for part, (weight, bias) in _FOLDED.items():
        at = f"bert.encoder.layer.{layers - 1}.attention.self.{part}."
        state[at + "weight"], state[at + "bias"] = _unfolded(arrays[weight], width), arrays[bias].reshape(-1)
    config = BertConfig(
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=len(state["bert.encoder.layer.0.intermediate.dense.bias"]),
        max_position_embeddings=len(state["bert.embeddings.position_embeddings.weight"]),
        id2label=dict(enumerate(bundle.class_names)),
        label2id={name: index for index, name in enumerate(bundle.class_names)},
    )
    model = BertForSequenceClassification(config).eval()
    try:
        model.load_state_dict({name: torch.tensor(array) for name, array in state.items()})
    except RuntimeError as error:
        raise ValueError(f"the demo's graph has an unexpected layout: {error}") from error
    _compare(model, bundle.model_file(), words)
    return model


def _unfolded(weight: NDArray[Any], width: int) -> NDArray[Any]:
    """Return a linear layer's weight [out, in] from a folded weight [heads, out, in] or [heads, in, out]."""
    if weight.shape[1] == width:
        weight = weight.transpose(0, 2, 1)
    return weight.reshape(-1, width)


def _compare(model: Any, graph: Path, words: int) -> None:
    import onnxruntime
    import torch

    ids = np.random.default_rng(0).integers(5, words, (8, 40))
    feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    with torch.inference_mode():
        expected = model(**{name: torch.from_numpy(array) for name, array in feeds.items()}).logits.numpy()
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    difference = float(np.abs(session.run(None, feeds)[0] - expected).max())
    if not difference < 1e-4:
        raise ValueError(
            f"the weights from the demo's graph give logits that are off by {difference:.2g}; at most 1e-4 is allowed"
        )
