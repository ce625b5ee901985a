"""A tiny real bundle whose logits can be computed by hand: each token adds its own row of numbers.

``logits[row] = sum over the row's real tokens of WEIGHTS[token]``, so a loss attached to the wrong row, a padding
token that counts, or a text cut at the wrong place gives another number.
"""

import functools
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing

from scorer.files import file_sha256
from scorer.model.bundle import ModelBundle
from scorer.model.bundle_manifest import Variant

CLASSES = ("World", "Sports", "Business", "Sci/Tech")
WORDS = [f"w{i}" for i in range(60)]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
VOCABULARY = {word: i for i, word in enumerate(SPECIAL + WORDS)}
MAX_TOKENS = 40


def weights(classes: int = len(CLASSES), seed: int = 0) -> NDArray[np.float32]:
    """Return each token's contribution to the logits, [tokens, classes]; [PAD]'s is large, to show if it counts."""
    table = np.random.default_rng(seed).normal(size=(len(VOCABULARY), classes)).astype(np.float32)
    table[0] = 1000.0
    return table


def save_model(file: Path, table: NDArray[np.float32]) -> None:
    """Write the graph that adds up the tokens' rows of the table, [tokens, classes]."""
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["each"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["each", "column"], ["real"]),
        helper.make_node("ReduceSum", ["real", "tokens"], ["logits"], keepdims=0),
    ]
    ids = [helper.make_tensor_value_info(n, TensorProto.INT64, ["b", "t"]) for n in ("input_ids", "attention_mask")]
    graph = helper.make_graph(
        nodes,
        "tiny",
        ids,
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", table.shape[1]])],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array([2], dtype=np.int64), "last"),
            numpy_helper.from_array(np.array([1], dtype=np.int64), "tokens"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, file)


def make_bundle(
    path: Path,
    classes: tuple[str, ...] = CLASSES,
    table: NDArray[np.float32] | None = None,
    int8: NDArray[np.float32] | None = None,
) -> ModelBundle:
    """Write the bundle; ``table`` replaces ``weights``, ``int8`` is what its int8 variant has for them."""
    path.mkdir(parents=True)
    variants = {"fp32": Variant(file="model.onnx")}
    save_model(path / "model.onnx", weights(len(classes)) if table is None else table)
    if int8 is not None:
        variants["int8"] = Variant(file="model.int8.onnx")
        save_model(path / "model.int8.onnx", int8)
    tokenizer = Tokenizer(WordLevel(VOCABULARY, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, VOCABULARY[token]) for token in ("[CLS]", "[SEP]")],
    )
    # Published tokenizers carry settings of their own, which the scorer must replace.
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=128)
    tokenizer.save(str(path / "tokenizer.json"))
    bundle = ModelBundle(
        path=path,
        class_names=classes,
        problem_type="single_label_classification",
        model_type="tiny",
        max_tokens=MAX_TOKENS,
        input_names=("input_ids", "attention_mask"),
        pad_id=0,
        model="tiny",
        revision=None,
        variants=variants,
        versions={},
        files={file.name: file_sha256(file) for file in (*path.glob("*.onnx"), path / "tokenizer.json")},
    )
    bundle.save()
    return bundle


def expected_logits(text: str, table: NDArray[np.float32] | None = None) -> NDArray[np.float64]:
    """Return a text's logits [C], by hand."""
    table = weights() if table is None else table
    words = [VOCABULARY.get(word, VOCABULARY["[UNK]"]) for word in text.split()][: MAX_TOKENS - 2]
    tokens = [VOCABULARY["[CLS]"], *words, VOCABULARY["[SEP]"]]
    logits: NDArray[np.float64] = table[tokens].astype(np.float64).sum(axis=0)
    return logits


def expected_loss(text: str, label: int) -> float:
    """Return a text's cross-entropy in nats, by hand."""
    logits = expected_logits(text)
    return float(np.log(np.exp(logits - logits[label]).sum()))


def make_texts(count: int, seed: int = 0, longest: int = 60) -> list[str]:
    """Return texts of very different lengths, some past the model's limit, some repeated."""
    return list(_texts(count, seed, longest))


@functools.cache  # a thousand texts take as long as scoring them
def _texts(count: int, seed: int, longest: int) -> tuple[str, ...]:
    random = np.random.default_rng(seed)
    return tuple(" ".join(random.choice(WORDS, size=random.integers(1, longest))) for _ in range(count))
