"""GivenGraph: an ONNX file that the user has, whose inputs and outputs are checked, copied into a bundle."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from exporter.errors import ModelError
from exporter.libraries import captured
from exporter.routes.base import FED
from scorer.text import listed, short

ANEW = (
    "export it anew with both axes free (torch.onnx.export: dynamic_shapes or dynamic_axes for axis 0 and 1 of each "
    "input; optimum-cli does so by itself)"
)
_SMALLEST = 1.401298464324817e-45  # the smallest float32 number: -log of it is 103.3 nats


@dataclass(frozen=True)
class GivenGraph:
    """A graph without its weights that lie in other files, and the name of the output that has the logits.

    ``data`` maps the location of each file of weights, as the graph names it, to its path.
    """

    file: Path
    model: Any
    input_names: tuple[str, ...]
    output: str
    data: dict[str, Path]

    def save(self, graph: Path) -> None:
        """Write the graph with its one output to a file, and its large weights beside it if they were."""
        import onnx

        from exporter.graph.beside import settle

        kept = [each for each in self.model.graph.output if each.name == self.output]
        inputs = [each for each in self.model.graph.input if each.name in self.input_names]
        places = {at: f"{graph.name}.data{f'.{i}' if i else ''}" for i, at in enumerate(self.data)}
        with TemporaryDirectory(dir=graph.parent) as folder, captured("saving the graph"):
            made = Path(folder) / graph.name
            if len(kept) < len(self.model.graph.output) or len(inputs) < len(self.model.graph.input) or places:
                _replace(self.model.graph.output, kept)
                _replace(self.model.graph.input, inputs)
                for location in _locations(self.model):
                    location.value = places[location.value]
                onnx.save(self.model, made)
            else:
                shutil.copyfile(self.file, made)
            for location, name in places.items():
                shutil.copyfile(self.data[location], made.with_name(name))
            settle(made, graph)


def read_graph(given: str | Path, output_name: str | None) -> GivenGraph:
    """Read a graph and check its inputs, its outputs and the files of its weights, none of which is copied yet.

    Raises:
        ModelError: the file is no ONNX graph, or a file of its weights is missing or lies elsewhere.
        ModelError: an input is none that scoring feeds, is not of whole numbers, or has a fixed axis.
        ModelError: it is not certain which output has the logits, or that output is not [batch, classes] of floats.
    """
    import onnx

    file = Path(given).expanduser()
    if not file.is_file():
        raise ModelError(f"`onnx`: {file} {'is a folder' if file.is_dir() else 'does not exist'}; give an ONNX file")
    with captured(f"reading {file}"):
        try:
            model = onnx.load(file, load_external_data=False)
        except Exception as error:  # protobuf's own
            raise ModelError(f"`onnx`: {file} is no ONNX graph ({type(error).__name__})") from error
    if not model.graph.node:
        raise ModelError(f"`onnx`: {file} is no ONNX graph: it has no operators")
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in weights]  # old graphs list all weights
    _refuse_inputs(file, inputs)
    output = _output(file, list(model.graph.output), output_name)
    return GivenGraph(file, model, tuple(each.name for each in inputs), output, _data(file, model))


def without_softmax(graph: Path, output: str) -> str:
    """Make a graph that gives probabilities give logits instead, and return a description of the change.

    If the output comes from a Softmax, the Softmax is left out; otherwise the logarithm is taken, which is exact.
    """
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(graph, load_external_data=False)
    makers = {name: node for node in model.graph.node for name in node.output}
    maker = makers.get(output)
    while maker is not None and maker.op_type == "Identity":
        maker = makers.get(maker.input[0])
    logits = f"{output}/logits"
    if maker is not None and maker.op_type == "Softmax" and maker.domain in ("", "ai.onnx"):
        model.graph.node.append(helper.make_node("Cast", [maker.input[0]], [logits], to=TensorProto.FLOAT))
        how = "the logits before its Softmax"
    else:
        floats, least, positive = (f"{output}/{name}" for name in ("floats", "least", "positive"))
        model.graph.initializer.append(helper.make_tensor(least, TensorProto.FLOAT, (), [_SMALLEST]))
        model.graph.node.append(helper.make_node("Cast", [output], [floats], to=TensorProto.FLOAT))
        model.graph.node.append(helper.make_node("Max", [floats, least], [positive]))
        model.graph.node.append(helper.make_node("Log", [positive], [logits]))
        how = "the logarithms of its probabilities"
    value = helper.make_tensor_value_info(logits, TensorProto.FLOAT, ["batch", "classes"])
    _replace(model.graph.output, [value])
    onnx.save(model, graph)
    return how


def _replace(messages: Any, kept: list[Any]) -> None:
    copies = [type(each).FromString(each.SerializeToString()) for each in kept]
    del messages[:]
    messages.extend(copies)


def _refuse_inputs(file: Path, inputs: list[Any]) -> None:
    from onnx import TensorProto

    names = [each.name for each in inputs]
    if unknown := [name for name in names if name not in FED]:
        raise ModelError(f"`onnx`: {file} reads {listed(unknown)}; scoring feeds only {', '.join(FED)}, by these names")
    if "input_ids" not in names:
        raise ModelError(f"`onnx`: {file} does not read input_ids; it reads {listed(names) if names else 'nothing'}")
    for each in inputs:
        kind = each.type.tensor_type
        if kind.elem_type not in (TensorProto.INT64, TensorProto.INT32):
            what = TensorProto.DataType.Name(kind.elem_type).lower()
            raise ModelError(f"`onnx`: the input {each.name} of {file} is of {what}; int64 or int32 is needed")
        if not kind.HasField("shape"):
            continue
        axes = kind.shape.dim
        if len(axes) != 2:
            raise ModelError(f"`onnx`: the input {each.name} of {file} has {len(axes)} axes, not [batch, length]")
        for axis, what in zip(axes, ("batch", "length"), strict=True):
            if axis.HasField("dim_value"):
                raise ModelError(
                    f"`onnx`: the input {each.name} of {file} has a fixed {what} of {axis.dim_value}; {ANEW}"
                )


def _output(file: Path, outputs: list[Any], asked: str | None) -> str:
    """Return the name of the output that has the logits."""
    from onnx import TensorProto

    names = [each.name for each in outputs]
    found = [name for name in names if name == (asked or "logits")]
    if asked is not None and not found:
        raise ModelError(f"`output_name` is {asked!r}; {file} has the outputs {listed(names)}")
    if not found and len(names) > 1:
        raise ModelError(f"`onnx`: {file} has the outputs {listed(names)}; say which has the logits with `output_name`")
    output = next(each for each in outputs if each.name == (found or names)[0])
    kind = output.type.tensor_type
    if kind.elem_type not in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE):
        what = TensorProto.DataType.Name(kind.elem_type).lower()
        raise ModelError(f"`onnx`: the output {output.name} of {file} is of {what}; logits are floats")
    shape = [each.dim_value or each.dim_param or "?" for each in kind.shape.dim]
    if kind.HasField("shape") and len(shape) != 2:
        raise ModelError(
            f"`onnx`: the output {output.name} of {file} is [{', '.join(map(str, shape))}]; [batch, classes] is needed"
        )
    return str(output.name)


def _data(file: Path, model: Any) -> dict[str, Path]:
    """Return the files of the weights that are not in the graph.

    Each must lie in the graph's folder. The hub's cache has links there, which lead to one folder of all files.
    """
    found: dict[str, Path] = {}
    homes = {file.parent.resolve(), file.resolve().parent}
    for location in _locations(model):
        place = Path(location.value)
        path = file.parent / place
        if place.is_absolute() or ".." in place.parts or not any(map(path.resolve().is_relative_to, homes)):
            raise ModelError(
                f"`onnx`: {file} names weights in {short(location.value)!r}, outside its folder; they are not read"
            )
        if not path.is_file():
            raise ModelError(
                f"`onnx`: {file} needs its weights in {short(location.value)!r}, which is not beside it; copy it there"
            )
        found[location.value] = path
    return found


def _locations(model: Any) -> Iterator[Any]:
    """Yield the entry of each tensor outside the graph that has the location of its file."""
    from exporter.graph.beside import is_beside, tensors

    for tensor in filter(is_beside, tensors(model)):
        yield from (entry for entry in tensor.external_data if entry.key == "location")
