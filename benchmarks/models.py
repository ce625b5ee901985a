"""Make the classifiers that are timed, offline, as Hugging Face folders: with seeded random weights, or the demo's.

A randomly initialised classifier gives every text nearly the same logits. Here the weights are larger, attention looks
at fewer tokens and has more influence, and the head is scaled. So losses differ between texts as in a trained model,
because of the texts' content and not only because of rounding.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.demo.demo_weights import demo_model
from scorer import ModelBundle

DEMO = Path(__file__).parents[1] / "cli" / "demo_files"
CLASSES = ("World", "Sports", "Business", "Sci/Tech")
POSITIONS = 512
_ATTENTION = 4.0  # factor on a random model's query weights and attention output weights
_SPREAD = 2.0  # standard deviation of a random classifier's logits over texts


@dataclass(frozen=True)
class Model:
    """A classifier: its name and title, the prefix of its transformers classes, and its configuration."""

    name: str
    title: str
    kind: str
    shape: dict[str, Any]


_BASE = {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072}
MODELS = {
    model.name: model
    for model in (
        Model("demo", "demo's BERT (3 layers, 128 wide)", "Bert", {}),
        Model(
            "minilm",
            "MiniLM-L6 size (6 layers, 384 wide)",
            "Bert",
            {
                "hidden_size": 384,
                "num_hidden_layers": 6,
                "num_attention_heads": 12,
                "intermediate_size": 1536,
                "initializer_range": 0.04,
            },
        ),
        Model(
            "distilbert",
            "DistilBERT-base (6 layers, 768 wide)",
            "DistilBert",
            {"dim": 768, "n_layers": 6, "n_heads": 12, "hidden_dim": 3072, "initializer_range": 0.03},
        ),
        Model(
            "bert", "BERT-base (12 layers, 768 wide)", "Bert",
            {**_BASE, "num_hidden_layers": 12, "initializer_range": 0.03},
        ),
    )
}  # fmt: skip


def build(name: str, folder: Path, sample: Sequence[str]) -> Path:
    """Write a classifier and its tokenizer to a folder unless it has both; a random head is scaled on ``sample``."""
    if (folder / "done").exists():
        return folder
    import torch
    import transformers

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model, bundle = MODELS[name], ModelBundle.load(DEMO / "bundle")
    transformers.utils.logging.disable_progress_bar()
    if name == "demo":
        network, limit = demo_model(bundle), bundle.max_tokens
    else:
        network, limit = _random(model), POSITIONS
    tokenizer = getattr(transformers, f"{model.kind}TokenizerFast")(
        tokenizer_file=str(bundle.tokenizer_file), model_max_length=limit
    )
    if name != "demo":
        _spread(network, tokenizer(list(sample), padding=True, truncation=True, return_tensors="pt"))
    with torch.inference_mode():
        network.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    (folder / "done").touch()
    return folder


def export_plain(folder: Path, graph: Path) -> Path:
    """Write optimum's unchanged ONNX export, without lossrank's rewrites, unless the file exists."""
    if not graph.exists():
        from transformers import AutoModelForSequenceClassification

        from exporter.routes.with_optimum import OPTIMUM

        graph.parent.mkdir(parents=True, exist_ok=True)
        part = graph.with_suffix(".part")
        OPTIMUM.convert(AutoModelForSequenceClassification.from_pretrained(folder).eval(), part, ())
        shutil.copy(folder / "config.json", graph.parent)
        part.rename(graph)
    return graph


def _random(model: Model) -> Any:
    import torch
    import transformers

    config = getattr(transformers, f"{model.kind}Config")(
        vocab_size=_words(),
        max_position_embeddings=POSITIONS,
        id2label=dict(enumerate(CLASSES)),
        label2id={name: index for index, name in enumerate(CLASSES)},
        **model.shape,
    )
    torch.manual_seed(7)
    network = getattr(transformers, f"{model.kind}ForSequenceClassification")(config).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith(("query.weight", "q_lin.weight", "attention.output.dense.weight", "out_lin.weight")):
                parameter.mul_(_ATTENTION)
    return network


def _words() -> int:
    from tokenizers import Tokenizer

    return int(Tokenizer.from_file(str(DEMO / "bundle" / "tokenizer.json")).get_vocab_size())


def _spread(network: Any, sample: Any) -> None:
    """Scale and shift the last linear layer so that the sample's logits have mean 0 and deviation ``_SPREAD``."""
    import torch

    sample = {name: value for name, value in sample.items() if name in network.forward.__code__.co_varnames}
    with torch.inference_mode():
        logits = network(**sample).logits
    head = network.classifier
    with torch.no_grad():
        scale = _SPREAD / logits.std(0)
        shift = logits.mean(0) * scale
        head.weight.mul_(scale[:, None])
        head.bias.mul_(scale).sub_(shift)
