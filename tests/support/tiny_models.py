"""Tiny classifiers of every architecture, with real tokenizer classes trained on a few lines: nothing is downloaded.

The weights are seeded and random but not small, so that the logits of different texts are well apart and a wrong
number anywhere is seen.
"""

import functools
import io
import json
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from exporter.libraries import require

_P = ParamSpec("_P")
_R = TypeVar("_R")
CLASSES = ("World", "Sports", "Business", "Sci/Tech")
POSITIONS = 64
CORPUS = [
    "The central bank raised its rate by a quarter point on Tuesday while shares in Tokyo fell.",
    "The striker who had scored twice before the break was sent off in the final minute of the match.",
    "Researchers at the university say a new chip needs half the power of its rivals.",
    "U.S. troops left Najaf (Reuters) - oil rose to $49.40 a barrel! Wasn't it 3-0?",
    "Žluťoučký kůň, naïve café, Straße; Новости спорта и науки; العربية; 世界银行; 東京; हिन्दी; 👍",
    "https://example.com/a?b=c&d=e <p class='lead'>Wall St. &amp; the market</p> 1234567890",
    "Some words come back again and again: the market, the match, the bank, the chip, the market, the match.",
]
_BERT_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": POSITIONS,
    "initializer_range": 0.25,
}


def quiet(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let torch and transformers warn as they like: warnings are errors in the tests."""

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        require()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)

    return call


_BUILT: dict[str, dict[Path, bytes]] = {}  # the files of what this process has built


def build(kind: str, folder: Path, **overrides: Any) -> Path:
    """Write a tiny classifier of one of ``KINDS`` and its tokenizer to a folder; ``overrides`` go into its config."""
    known = repr((kind, sorted(overrides.items())))
    if known not in _BUILT:
        with tempfile.TemporaryDirectory() as name:
            made = Path(name) / kind
            _build(kind, made, **overrides)
            _BUILT[known] = {file.relative_to(made): file.read_bytes() for file in made.rglob("*") if file.is_file()}
    for file, content in _BUILT[known].items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content)
    return folder


@quiet
def _build(kind: str, folder: Path, **overrides: Any) -> None:
    import torch
    import transformers

    name, make_tokenizer, extra = KINDS[kind]
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(folder)
    ids = {"pad_token_id": tokenizer.pad_token_id}
    for token in ("bos", "eos"):
        if getattr(tokenizer, f"{token}_token_id") is not None and kind not in ("bert", "distilbert", "electra"):
            ids[f"{token}_token_id"] = getattr(tokenizer, f"{token}_token_id")
    labels = {"id2label": dict(enumerate(CLASSES)), "label2id": {label: i for i, label in enumerate(CLASSES)}}
    config = getattr(transformers, f"{name}Config")(
        **{"vocab_size": len(tokenizer), **_SHAPE, **ids, **labels, **extra, **overrides}
    )
    torch.manual_seed(7)
    model = getattr(transformers, f"{name}ForSequenceClassification")(config).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def edit(folder: Path, file: str = "config.json", **changes: Any) -> Path:
    """Change entries of a JSON file of a model; None takes one out."""
    path = folder / file
    content = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}), encoding="utf-8")
    return folder


def sentencepiece_model(path: Path, vocab_size: int = 180, **options: Any) -> Path:
    """Train a small unigram model on the corpus."""
    import sentencepiece

    stream = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 3),
        model_writer=stream,
        vocab_size=vocab_size,
        hard_vocab_limit=False,
        character_coverage=1.0,
        minloglevel=2,
        **options,
    )
    path.write_bytes(stream.getvalue())
    return path


def _wordpiece(cls: str, specials: list[str] = _BERT_TOKENS) -> Callable[[Path], Any]:
    def make(folder: Path) -> Any:
        import transformers
        from tokenizers import BertWordPieceTokenizer

        trained = BertWordPieceTokenizer(lowercase=True)
        trained.train_from_iterator(
            CORPUS, vocab_size=300, min_frequency=1, special_tokens=specials, show_progress=False
        )
        trained.save_model(str(folder))
        return getattr(transformers, cls)(str(folder / "vocab.txt"))

    return make


def _byte_bpe(cls: str, specials: tuple[str, ...], **options: Any) -> Callable[[Path], Any]:
    def make(folder: Path) -> Any:
        import transformers
        from tokenizers import ByteLevelBPETokenizer

        trained = ByteLevelBPETokenizer()
        trained.train_from_iterator(
            CORPUS, vocab_size=400, min_frequency=1, special_tokens=list(specials), show_progress=False
        )
        trained.save_model(str(folder))
        return getattr(transformers, cls)(str(folder / "vocab.json"), str(folder / "merges.txt"), **options)

    return make


def _sentencepiece(cls: str, file: str, **training: Any) -> Callable[[Path], Any]:
    def make(folder: Path) -> Any:
        import transformers

        return getattr(transformers, cls)(str(sentencepiece_model(folder / file, **training)))

    return make


_ROBERTA_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_DEBERTA = {"pos_att_type": ["c2p", "p2c"], "relative_attention": True, "max_relative_positions": -1}
_DEBERTA_V3 = {**_DEBERTA, "position_buckets": 16, "norm_rel_ebd": "layer_norm", "share_att_key": True}
_ALBERT_PIECES = {
    "pad_id": 0,
    "unk_id": 1,
    "bos_id": -1,
    "eos_id": -1,
    "user_defined_symbols": ["[CLS]", "[SEP]", "[MASK]"],
}

_DEBERTA_PIECES = {
    "pad_id": 0, "pad_piece": "[PAD]", "bos_id": 1, "bos_piece": "[CLS]", "eos_id": 2, "eos_piece": "[SEP]",
    "unk_id": 3, "unk_piece": "[UNK]", "user_defined_symbols": ["[MASK]"],
}  # fmt: skip

# Name of the transformers classes, tokenizer, and what the configuration has beside ``_SHAPE``.
KINDS: dict[str, tuple[str, Callable[[Path], Any], dict[str, Any]]] = {
    "bert": ("Bert", _wordpiece("BertTokenizerFast"), {}),
    "distilbert": (
        "DistilBert",
        _wordpiece("DistilBertTokenizerFast"),
        {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4},
    ),
    "electra": ("Electra", _wordpiece("ElectraTokenizerFast"), {"embedding_size": 16}),
    "roberta": (
        "Roberta",
        _byte_bpe("RobertaTokenizerFast", _ROBERTA_TOKENS),
        {"max_position_embeddings": POSITIONS + 2, "type_vocab_size": 1},
    ),
    "xlm-roberta": (
        "XLMRoberta",
        _sentencepiece("XLMRobertaTokenizerFast", "sentencepiece.bpe.model"),
        {"max_position_embeddings": POSITIONS + 2, "type_vocab_size": 1},
    ),
    "albert": (
        "Albert",
        _sentencepiece("AlbertTokenizerFast", "spiece.model", **_ALBERT_PIECES),
        {"embedding_size": 16},
    ),
    "deberta": (
        "Deberta",
        _byte_bpe("DebertaTokenizerFast", ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]")),
        {**_DEBERTA, "type_vocab_size": 0, "position_biased_input": False},
    ),
    "deberta-v2": (
        "DebertaV2",
        _sentencepiece("DebertaV2TokenizerFast", "spm.model", **_DEBERTA_PIECES),
        {**_DEBERTA, "type_vocab_size": 2, "position_biased_input": True},
    ),
    "deberta-v3": (
        "DebertaV2",
        _sentencepiece("DebertaV2TokenizerFast", "spm.model", **_DEBERTA_PIECES),
        {**_DEBERTA_V3, "type_vocab_size": 0, "position_biased_input": False},
    ),
    "mpnet": (
        "MPNet",
        _wordpiece("MPNetTokenizerFast", ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]),
        {"max_position_embeddings": POSITIONS + 2},
    ),
    "gpt2": (
        "GPT2",
        _byte_bpe("GPT2TokenizerFast", ("<|endoftext|>", "<pad>"), pad_token="<pad>"),
        {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": POSITIONS},
    ),
    "bart": (
        "Bart",
        _byte_bpe("BartTokenizerFast", _ROBERTA_TOKENS),
        {
            "d_model": 32,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 64,
            "decoder_ffn_dim": 64,
            "init_std": 0.25,
            "num_labels": len(CLASSES),
        },
    ),
    "modernbert": ("ModernBert", _wordpiece("BertTokenizerFast"), {"local_attention": 16}),
}
