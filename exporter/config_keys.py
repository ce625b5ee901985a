# ruff: noqa: SIM905 - a hundred names read better as a text
"""Find keys of config.json that the loading class does not read.

A library reads the keys it knows and ignores the others in silence. transformers 5 writes ``rope_parameters``, which
transformers 4.57 ignores: the model then runs with other frequencies and gives losses that look normal. So a key that
is not read stops the export, unless it is known to change nothing.
"""

import inspect
import re
from pathlib import Path
from typing import Any

from exporter.config_faults import listed

# Keys that describe training, saving, generation or another library, and never what a classifier computes.
_HARMLESS = set(
    """
    _attn_implementation _commit_hash _experts_implementation _name_or_path _num_labels adapters architectures
    attn_implementation attn_implementation_autoset auto_map bos_token_ids custom_pipelines directionality dtype
    early_stopping finetuning_task force_bos_token_to_be_generated gradient_checkpointing id2label init_device
    keys_to_ignore_at_inference label2id language languages_trained license loss_function max_length
    model_max_length model_name model_type name name_or_path num_beams num_labels num_return_sequences
    output_attentions output_hidden_states output_past pooler_fc_size pooler_num_attention_heads
    pooler_num_fc_layers pooler_size_per_head pooler_type pretrained_model_name problem_type pruned_heads
    return_dict save_step sentence_transformers tags task task_specific_params tf_legacy_loss tie_encoder_decoder
    tie_weights_ tie_word_embeddings tokenizer_class torch_dtype torchscript total_flos transformers.js_config
    transformers_version unsloth_fixed unsloth_version use_bfloat16 use_cache
    """.split()
)
# Of dropout and initialisation, which only training uses, and of the language model's head, which classifiers lack.
_HARMLESS_NAMES = re.compile(
    r"drop(out|path|_path|_rate)|layerdrop|_pdrop$|init(ializer)?_(range|factor|std|scale)$|^lm_head_"
)
_READERS = ("modeling_rope_utils.py", "masking_utils.py", "modeling_utils.py", "pytorch_utils.py")
# Values that are the only function the class has.
_HARMLESS_VALUES: dict[str, tuple[Any, ...]] = {
    "position_embedding_type": ("absolute",),
    "normalize_embedding": (True,),
    "extra_pos_embeddings": (2,),
    "mlm": (True,),
}


def unread_keys(raw: dict[str, Any], config: Any) -> list[str]:
    """Return the keys of config.json ``raw`` that the class of ``config`` ignores and that may change the function.

    Keys whose value is null, false or empty are left out, because what they would turn on is off. So are all keys of a
    checkpoint that this version of transformers saved: its own class ignored them in training too.
    """
    import transformers

    saved = str(raw.get("transformers_version") or "")
    if saved.split(".")[:2] == transformers.__version__.split(".")[:2]:
        return []
    generation: Any = transformers.GenerationConfig
    known = {*_defaults(config), *generation().to_dict()}
    # A key that the class reads is an attribute by default or none at all: a class keeps what it ignores as it is.
    extra = [key for key, value in raw.items() if value and hasattr(config, key) and key not in known]
    source = _source(type(config)) if extra else ""
    return [
        key
        for key in extra
        if not _is_harmless(key, raw[key])
        and not re.search(rf"config\.{re.escape(key)}\b|[\"']{re.escape(key)}[\"']", source)
    ]


def faults(raw: dict[str, Any], config: Any) -> list[str]:
    """Return a reason not to export the model if a key is not read; otherwise an empty list."""
    import transformers

    unread = unread_keys(raw, config)
    if not unread:
        return []
    saved = raw.get("transformers_version")
    remedy = f"pip install 'transformers=={saved}', which saved it" if saved else "the version that trained it"
    reader = f"{type(config).__name__} of transformers {transformers.__version__}"
    return [
        f"config.json has {listed(unread, 5)}, which {reader} does not read, so its losses might be wrong; export it "
        f"with {remedy}, or remove from config.json what changes nothing"
    ]


def _defaults(config: Any) -> set[str]:
    """Return the names of the attributes that a configuration of this class always has."""
    from transformers import PretrainedConfig

    kind = type(config)
    try:
        plain = kind()
    except Exception:  # a class without defaults
        plain = PretrainedConfig()
    return {*dir(kind), *vars(plain), *kind.attribute_map, *kind.attribute_map.values()}


def _source(kind: type) -> str:
    """Return the source of the code that reads a configuration of this class while the model runs."""
    import transformers

    own = Path(inspect.getfile(kind)).parent.glob("modeling_*.py")
    shared = (Path(transformers.__file__).parent / name for name in _READERS)
    return "\n".join(file.read_text(encoding="utf-8") for file in (*own, *shared) if file.is_file())


def _is_harmless(key: str, value: Any) -> bool:
    return key in _HARMLESS or _HARMLESS_NAMES.search(key) is not None or value in _HARMLESS_VALUES.get(key, ())
