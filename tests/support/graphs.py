"""What the tests of graph rewrites share: batches, ways to run a graph and to count its work, graphs by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from exporter.fetch import fetch
from exporter.load import load
from exporter.routes.with_optimum import OPTIMUM
from tests.support.tiny_models import build, quiet

EXACT = 2e-6  # largest logits are about 3: float32's rounding, in another order
FEEDS = dict[str, NDArray[np.int64]]
_CONVERTED: dict[str, tuple[Any, int, bytes]] = {}  # what this process has converted


@quiet
def converted(kind: str, folder: Path, **overrides: Any) -> tuple[Any, int, onnx.ModelProto]:
    """Return a tiny classifier in torch, its pad id and a graph of it, before any rewrite; nobody changes the first."""
    known = repr((kind, sorted(overrides.items())))
    if known not in _CONVERTED:
        classifier = load(fetch(build(kind, folder / "model", **overrides)))
        OPTIMUM.convert(classifier.model, folder / "model.onnx", ())
        _CONVERTED[known] = classifier.model, classifier.pad_id, (folder / "model.onnx").read_bytes()
    network, pad_id, graph = _CONVERTED[known]
    return network, pad_id, onnx.load_model_from_string(graph)


def opened(model: onnx.ModelProto | Path) -> ort.InferenceSession:
    """Return a session, which takes longer to open than to run."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def run(model: onnx.ModelProto | Path | ort.InferenceSession, feeds: FEEDS) -> list[NDArray[Any]]:
    session = model if isinstance(model, ort.InferenceSession) else opened(model)
    names = {node.name for node in session.get_inputs()}
    outputs: list[NDArray[Any]] = session.run(None, {name: feeds[name] for name in names})
    return outputs


def batch(tokens: int, pad_id: int, *, type_ids: bool = False) -> FEEDS:
    """Return a batch [t, t] padded on the right by every amount: row ``i`` has ``t - i`` tokens."""
    rng = np.random.default_rng(tokens)
    mask = (np.arange(tokens) < np.arange(tokens, 0, -1)[:, None]).astype(np.int64)
    ids = rng.integers(5, 170, size=(tokens, tokens))  # past the special tokens
    types = rng.integers(0, 2, size=ids.shape) if type_ids else np.zeros_like(ids)
    return {"input_ids": np.where(mask, ids, pad_id), "attention_mask": mask, "token_type_ids": types * mask}


def difference(found: list[NDArray[Any]], wanted: list[NDArray[Any]]) -> float:
    assert [each.shape for each in found] == [each.shape for each in wanted]
    return max(float(np.abs(a - b).max()) for a, b in zip(found, wanted, strict=True))


@quiet
def torch_logits(network: Any, feeds: FEEDS) -> NDArray[np.float32]:
    """Return torch's logits row by row, without padding."""
    import torch

    rows = []
    with torch.inference_mode():
        for i, length in enumerate(feeds["attention_mask"].sum(axis=1)):
            inputs = {name: torch.tensor(values[i : i + 1, :length]) for name, values in feeds.items()}
            rows.append(network(**inputs).logits[0].numpy())
    return np.stack(rows)


def products(model: onnx.ModelProto, rows: int, tokens: int) -> int:
    """Count the multiplications of all matrix products, from the shapes that they really have."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    nodes = [node for node in probe.graph.node if node.op_type in ("MatMul", "Gemm")]
    made = {name for node in probe.graph.node for name in node.output}
    del probe.graph.output[:]
    wanted = {name for node in nodes for name in (node.input[0], node.output[0]) if name in made}
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(wanted))
    feeds = {name: np.ones((rows, tokens), np.int64) for name in ("input_ids", "attention_mask")}
    feeds["token_type_ids"] = np.zeros((rows, tokens), np.int64)
    shapes = dict(zip(sorted(wanted), [each.shape for each in run(probe, feeds)], strict=True))
    shapes |= {tensor.name: tuple(tensor.dims) for tensor in probe.graph.initializer}
    return sum(int(np.prod(shapes[node.output[0]])) * int(shapes[node.input[0]][-1]) for node in nodes)


class Net:
    """A graph written out node by node, in double precision: nothing that a step amplifies is rounding."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[TensorProto] = []
        self._rng = np.random.default_rng(5)

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        output = f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def constant(self, values: Any, dtype: type = np.int64) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def weight(self, *shape: int) -> str:
        return self.constant(self._rng.normal(size=shape), np.float64)

    def attention(self) -> str:
        """Add a layer of attention on 4 channels and return its output, [b, t, 4]."""
        hidden = self.add("Gather", self.weight(50, 4), "input_ids")
        queries, keys, values = (self.add("MatMul", hidden, self.weight(4, 4)) for _ in range(3))
        scores = self.add("MatMul", queries, self.add("Transpose", keys, perm=[0, 2, 1]))
        context = self.add("MatMul", self.add("Softmax", scores, axis=-1), values)
        return self.add("Add", context, hidden)

    def model(self, output: str) -> onnx.ModelProto:
        ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])
        nodes = [*self.nodes, helper.make_node("Flatten", [output], ["logits"])]
        logits = helper.make_tensor_value_info("logits", TensorProto.DOUBLE, ["batch", "classes"])
        graph = helper.make_graph(nodes, "net", [ids], [logits], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        onnx.checker.check_model(model)
        return model


def ids(rows: int, tokens: int) -> FEEDS:
    return {"input_ids": np.random.default_rng(rows * tokens).integers(0, 50, size=(rows, tokens))}
