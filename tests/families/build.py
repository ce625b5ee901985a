"""Build a small classifier of a family, and compute its losses in torch, one row at a time."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from exporter.libraries import in_float32
from exporter.parity.texts import parity_texts
from tests.families.kind import SHAPE, Kind
from tests.support.tiny_models import CLASSES, CORPUS, edit, quiet

ROWS = 200
SAVED_BY_5 = Path(__file__).parent / "saved_by_5"
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def tokenizer(types: bool, **settings: Any) -> Any:
    """Return a byte-level BPE tokenizer with the template ``<s> text </s>``, of at most 64 tokens."""
    from tokenizers import ByteLevelBPETokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(
        CORPUS, vocab_size=400, min_frequency=1, special_tokens=list(_SPECIAL), show_progress=False
    )
    trained._tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = ["input_ids", *(["token_type_ids"] if types else []), "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer,
        model_max_length=64,
        model_input_names=names,
        **{f"{token}_token": f"<{token}>" for token in ("pad", "unk", "mask")},
        bos_token="<s>", cls_token="<s>", eos_token="</s>", sep_token="</s>", **settings,
    )  # fmt: skip


@quiet
def build(kind: Kind, folder: Path) -> Path:
    """Write a classifier of a family with seeded weights that are far from zero, and its tokenizer, to a folder."""
    import torch
    import transformers

    if kind.saved_by_5:
        return Path(shutil.copytree(SAVED_BY_5 / kind.saved_by_5, folder))
    torch.set_num_threads(1)
    words = tokenizer(kind.types, **kind.words)
    names = CLASSES[: kind.classes]
    ids = {"vocab_size": len(words), "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    labels = {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
    settings = {**SHAPE, **ids, **labels, **kind.settings}
    config = getattr(transformers, f"{kind.prefix}Config")(**{k: v for k, v in settings.items() if v is not None})
    torch.manual_seed(7)
    model = getattr(transformers, f"{kind.prefix}ForSequenceClassification")(config).eval()
    for weight in model.parameters():
        if weight.dim() > 1 and weight.std() < 0.05:
            torch.nn.init.normal_(weight, std=kind.std)
    model.to(getattr(torch, kind.dtype)).save_pretrained(folder, max_shard_size=kind.shard)
    words.save_pretrained(folder)
    return edit(folder, **kind.edits) if kind.edits else folder


def rows(classes: int = len(CLASSES)) -> pa.Table:
    """Return 200 texts, of one token to more than the limit, odd ones and literal special tokens among them."""
    odd = [text for text, pair in parity_texts(64, _SPECIAL) if pair is None and text.strip() and len(text) < 2000]
    chosen = np.random.default_rng(3)
    words = " ".join(CORPUS).split()
    made = [" ".join(chosen.choice(words, size=chosen.integers(1, 60))) for _ in range(ROWS - len(odd))]
    labels = [CLASSES[i] for i in chosen.integers(0, classes, size=ROWS)]
    return pa.table({"text": [*odd, *made], "label": labels})


@quiet
def torch_losses(folder: Path, table: pa.Table) -> NDArray[np.float64]:
    """Return the losses [n] that transformers gives one row at a time, with its eager attention in float32."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    words = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, attn_implementation="eager", **in_float32()
    ).eval()
    losses = []
    for text, label in zip(table["text"].to_pylist(), table["label"].to_pylist(), strict=True):
        fed = words(text, truncation=True, max_length=64, return_tensors="pt")
        with torch.inference_mode():
            logits = model(**fed)[0][0].double()  # of a tuple too, where return_dict is false
        losses.append(float(torch.logsumexp(logits, 0) - logits[CLASSES.index(label)]))
    return np.array(losses)
