"""Forms in which people save a classifier, each on one or two families; KINDS has the families and the forms."""

from tests.families.kind import Kind
from tests.families.kinds import FAMILIES

_GROUPED = {"num_key_value_heads": 2}
_LEFT = {"padding_side": "left"}
SAVED_BY_5 = ("gpt_neox", "llama", "mistral", "modernbert", "phi", "qwen2", "qwen3")

FORMS = [
    Kind("bert, 2 classes", "Bert", classes=2, types=True),
    Kind("bert, 3 classes", "Bert", classes=3, types=True),
    Kind("bert, float16 weights", "Bert", dtype="float16", types=True),
    Kind("bert, problem_type is set", "Bert", {"problem_type": "single_label_classification"}, types=True),
    Kind("bert, return_dict is false", "Bert", edits={"return_dict": False}, types=True),
    Kind("bert, weights in several files", "Bert", shard="60KB", types=True),
    Kind("gemma2, low soft caps", "Gemma2", {**_GROUPED, "head_dim": 8, "attn_logit_softcapping": 0.5}),
    Kind(
        "falcon, ALiBi",
        "Falcon",
        {"alibi": True, "new_decoder_architecture": False},
        refused="computed in bfloat16",
    ),
    Kind("llama, bfloat16 weights", "Llama", _GROUPED, dtype="bfloat16"),
    Kind("llama, left padding", "Llama", _GROUPED, words=_LEFT),
    Kind("llama, padding id in the tokenizer only", "Llama", _GROUPED, edits={"pad_token_id": None}),
    Kind("llama, tied embeddings", "Llama", {**_GROUPED, "tie_word_embeddings": True}),
    Kind("mistral, short sliding window", "Mistral", {**_GROUPED, "sliding_window": 16}),
    Kind("qwen2, left padding", "Qwen2", _GROUPED, words=_LEFT),
    Kind(
        "qwen2, short sliding window",
        "Qwen2",
        {**_GROUPED, "use_sliding_window": True, "sliding_window": 16, "max_window_layers": 0},
    ),
    Kind("roberta, 2 classes", "Roberta", {"max_position_embeddings": 66}, classes=2),
    *(
        Kind(f"{name}, saved by transformers 5", "", saved_by_5=name, refused_by_4="rope_parameters")
        for name in SAVED_BY_5
    ),
]
KINDS = [*FAMILIES, *FORMS]
BY_NAME = {kind.name: kind for kind in KINDS}
