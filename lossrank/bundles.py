"""The functions of `import lossrank` about a bundle: export, load_bundle, bench, and write_label_map."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossrank.progress import OnStep, Step, watched
from scorer.data.source import Data

# A function imports what only it needs, so that a run is opened and ranked quickly.
if TYPE_CHECKING:
    from exporter.routes.choose import Exporter
    from scorer.bench.bench import BenchResult
    from scorer.data.read_options import ReadOptions
    from scorer.model.bundle import ModelBundle
    from scorer.pipeline.label_template import LabelTemplate


def export(
    model: Any = None,
    output: str | Path | None = None,
    *,
    tokenizer: Any = None,
    onnx: str | Path | None = None,
    labels: Sequence[str] | str | Path | None = None,
    output_name: str | None = None,
    logits: bool = False,
    revision: str | None = None,
    force: bool = False,
    int8: bool = True,
    exporter: "Exporter" = "auto",
    max_tokens: int | None = None,
    progress: bool | OnStep = True,
) -> "ModelBundle":
    """Turn a Hugging Face classifier into a bundle that scores without torch.

    A bundle is a folder with the model as an ONNX graph, its tokenizer and its class names. Its logits and losses are
    compared with torch's, text by text, before the bundle is kept; ``bundle.parity()`` has the differences, and the
    length of the longest text compared: the model's limit, or less where memory or time is too little for it. This
    needs the extra ``export`` (torch and transformers); scoring with the bundle does not.

    An export may run in a thread: what other threads print is not touched. A second one in the same process waits.

    An ONNX classifier that you have becomes a bundle with ``onnx``, ``tokenizer`` and ``labels``. This needs neither
    torch nor transformers, and nothing to compare with: the graph is compared with itself, each text alone with the
    same text in padded batches. The bundle's ``compared_with`` is then "itself".

    Args:
        model: a folder, a name on the Hugging Face hub, a loaded transformers model with its ``tokenizer``, or a
            text-classification ``pipeline``.
        output: the folder to write; it must not exist, unless ``force`` is true.
        tokenizer: the tokenizer of a loaded model; with ``onnx``, a folder with ``tokenizer.json``.
        onnx: an ONNX file, in place of ``model``. It reads ``input_ids`` and, if it needs them, ``attention_mask`` and
            ``token_type_ids``, for any number of texts of any length, and gives [batch, classes]: logits, or
            probabilities, whose logits are then used.
        labels: with ``onnx``: the class names in the order of the logits, or a file with them: a JSON list, a
            ``config.json`` with ``id2label``, or a text file with one name a line.
        output_name: with ``onnx``: the output with the logits, if there are several and none is named "logits".
        logits: with ``onnx``: numbers that are all in 0..1 are logits all the same.
        revision: a branch, tag or commit of a model on the hub.
        force: replace a bundle in ``output``; the old bundle stays until the new bundle is complete.
        int8: also write the int8 graph, for ``precision="int8"`` and ``"screen"``.
        exporter: what converts the model to ONNX: "optimum", "torch", or "auto", which takes optimum if it is installed
            and knows the model, and otherwise, or if optimum fails, torch.
        max_tokens: how many tokens of a text the bundle reads; None is as many as the model can read, with ``onnx`` the
            ``model_max_length`` of ``tokenizer_config.json``.
        progress: True shows a bar in a terminal or notebook, False shows nothing; a function is called with a
            ``Step`` that has a ``note``, before each part of the work, and at the end with the seconds of each stage.

    Returns:
        The bundle, checked and ready to score.

    Raises:
        TypeError: ``output`` is missing, or ``onnx`` is given with ``model`` or without ``tokenizer`` and ``labels``.
        ExportError: the model is not found, can't be exported with correct losses, or ``output`` can't be written.
        DeviceError: onnxruntime is missing or installed twice.

    Example:
        >>> bundle = lr.export("andi611/distilbert-base-uncased-ner-agnews", "bundle")
        >>> bundle.path, bundle.class_names
        (PosixPath('bundle'), ('World', 'Sports', 'Business', 'Sci/Tech'))
    """
    if output is None or (model is None) == (onnx is None):
        raise TypeError("export() needs `output`, and either `model` or `onnx`")
    if (onnx is None) != (labels is None) or (onnx is not None and tokenizer is None):
        raise TypeError("export() needs `tokenizer` and `labels` with `onnx`, and `labels` with nothing else")
    if onnx is None and (output_name is not None or logits):
        raise TypeError("export() takes `output_name` and `logits` only with `onnx`")
    if onnx is not None and (revision is not None or exporter != "auto"):
        raise TypeError("export() takes `revision` and `exporter` only with `model`")
    with watched(progress, "exporting") as say:
        if onnx is not None and labels is not None:
            from exporter.elsewhere.export import export_onnx

            return export_onnx(
                onnx,
                output,
                tokenizer=tokenizer,
                labels=labels,
                output_name=output_name,
                logits=logits,
                force=force,
                int8=int8,
                max_tokens=max_tokens,
                progress=lambda doing: say(Step(note=doing)),
            )
        from exporter.export import export_model

        return export_model(
            model,
            output,
            tokenizer=tokenizer,
            revision=revision,
            force=force,
            int8=int8,
            exporter=exporter,
            max_tokens=max_tokens,
            progress=lambda doing: say(Step(note=doing)),
        )


def load_bundle(path: str | Path) -> "ModelBundle":
    """Read a bundle and check every file against its recorded hash.

    Args:
        path: the folder that ``export`` wrote.

    Raises:
        BundleError: the folder is no bundle, is damaged, or was written by a newer version.

    Example:
        >>> lr.load_bundle(BUNDLE).class_names
        ('World', 'Sports', 'Business', 'Sci/Tech')
    """
    from scorer.model.bundle import ModelBundle

    return ModelBundle.load(path)


def bench(
    bundle: "ModelBundle | str | Path",
    data: Data,
    *,
    rows: int = 2000,
    config: str | None = None,
    split: str | None = None,
    streaming: bool = False,
    progress: bool | OnStep = True,
    **settings: Any,
) -> "BenchResult":
    """Score a random sample of the data, the same on every call, and return how fast this machine is.

    Args:
        bundle: an exported model, or its folder.
        data: as in ``score``, with ``config``, ``split`` and ``streaming``.
        rows: the size of the sample; all rows if the data has fewer.
        progress: as in ``export``.
        settings: the other settings of ``score``, such as ``text_column`` or ``precision``.

    Raises:
        TypeError: there is no such setting, or ``data`` is of a kind that can't be scored.
        BundleError, SourceError, LabelError, DeviceError, RunError: as for ``score``.

    Example:
        >>> lr.bench(BUNDLE, rows, rows=100, progress=False).rows
        100
    """
    from scorer.bench.bench import bench as bench_rows
    from scorer.pipeline.options import ScoreOptions

    read = _read_options(settings)
    with watched(progress, "timing") as say:
        return bench_rows(
            bundle,
            data,
            ScoreOptions(**{**settings, "label_map": label_map_of(settings.get("label_map"))}),
            config=config,
            split=split,
            streaming=streaming,
            read=read,
            rows=rows,
            progress=lambda doing: say(Step(note=doing)),
        )


def write_label_map(
    bundle: "ModelBundle | str | Path | Sequence[str]",
    data: Data,
    file: str | Path,
    *,
    config: str | None = None,
    split: str | None = None,
    streaming: bool = False,
    **settings: Any,
) -> "LabelTemplate":
    """Write a label map with every label of the data as a JSON file, to fill in and pass to ``score`` or
    ``import_probs``.

    The class of a label is filled in if it has the same name, but for case, blanks and punctuation; the others are
    ``""``. Give each of them a class of the model, or null to leave rows with that label out.

    Args:
        bundle: an exported model, or its folder; or, for ``import_probs``, a list of the names of the classes.
        data: as in ``score``, with ``config``, ``split`` and ``streaming``.
        file: the file to write; it must not exist.
        settings: the other settings of ``score``, such as ``label_column``; the entries of a ``label_map`` are kept.

    Returns:
        The map that was written.

    Raises:
        TypeError: there is no such setting, or ``data`` is of a kind that can't be scored.
        LabelError: the data has no labels, or ``file`` exists.
        BundleError, SourceError, RunError: as for ``score``.

    Example:
        >>> lr.write_label_map(BUNDLE, rows, "map.json").mapping
        {'World': 'World', 'Sports': 'Sports', 'Business': 'Business', 'Sci/Tech': 'Sci/Tech'}
    """
    from scorer.pipeline.label_template import label_template
    from scorer.pipeline.options import ScoreOptions

    read = _read_options(settings)
    options = ScoreOptions(**{**settings, "label_map": label_map_of(settings.get("label_map"))})
    return label_template(bundle, data, Path(file), options, config=config, split=split, streaming=streaming, read=read)


def _read_options(settings: dict[str, Any]) -> "ReadOptions":
    """Take the options for reading files out of ``settings``."""
    from scorer.data.read_options import ReadOptions

    read = {name: settings.pop(name) for name in ReadOptions.__struct_fields__ if name in settings}
    if read.get("columns") is not None:
        read["columns"] = tuple(read["columns"])
    return ReadOptions(**read)


def label_map_of(given: Mapping[str, Any] | str | Path | None) -> Mapping[str, Any] | None:
    """Return a label map, read from its JSON file if ``given`` is a path."""
    if not isinstance(given, str | Path):
        return given
    from scorer.data.labels.suggest import read_label_map

    return read_label_map(Path(given))
