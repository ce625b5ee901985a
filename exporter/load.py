"""Load a classifier's configuration, tokenizer and weights; a refusal names every reason at once."""

from dataclasses import dataclass
from typing import Any

from exporter import config_faults as refusals
from exporter import config_keys
from exporter import tokenizer as tokenizers
from exporter.errors import ExportError, ModelError
from exporter.fetch import ModelFiles
from exporter.libraries import captured, in_float32
from exporter.network import inputs_of
from scorer.text import one_line

_FALLBACK_TOKENS = 512  # for a model with relative positions, which don't limit the length of a text


@dataclass(frozen=True)
class Classifier:
    """A torch classifier in float32 and eval mode, with its tokenizer and the values that go into its bundle."""

    model: Any
    tokenizer: Any
    name: str
    revision: str | None
    class_names: tuple[str, ...]
    max_tokens: int
    pad_id: int


def load(files: ModelFiles, max_tokens: int | None = None) -> Classifier:
    """Load a classifier from its files, to read at most ``max_tokens`` of a text; None is as many as it can read.

    What is certain is filled in: the padding id that only the tokenizer has, and ``return_dict``.

    Raises:
        ModelError: ``max_tokens`` is more than the model can read, or leaves no room for a text.
        ModelError: the model can't be exported with correct losses; the message has every reason.
        ConversionError: transformers fails to load the model.
    """
    raw = refusals.read_config(files)
    found = refusals.reasons(raw, files)
    if not files.on_hub and not any(files.folder.glob("*.safetensors")):
        found.append(_no_safetensors(files))
    try:
        config, tokenizer = _load_config(files), tokenizers.load_tokenizer(files)
    except ExportError:
        _refuse(files, found)  # a fault in config.json may be the cause
        raise
    _refuse(files, found + config_keys.faults(raw, config) + tokenizers.reasons(tokenizer, config))
    files = files.with_weights()
    if not any(files.folder.glob("*.safetensors")):
        _refuse(files, [_no_safetensors(files)])
    config.return_dict = True
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id
    if (sparse := _sparse_from(config)) and max_tokens is not None and max_tokens <= sparse:
        config.attention_type = "original_full"  # what block_sparse is for texts of this length
    network = _load_weights(files, config)
    names = refusals.class_names(raw)
    _refuse(files, _misfits(network, tokenizer, len(names)))
    limit = token_limit(network, tokenizer)
    least = tokenizer.num_special_tokens_to_add(pair=True) + 1
    if max_tokens is not None and not least <= max_tokens <= limit:
        raise ModelError(f"`max_tokens` is {max_tokens}; {files.name} reads from {least} to {limit:,} tokens of a text")
    limit = max_tokens or limit
    _refuse(files, _forgetful(config, limit))
    return Classifier(
        model=network,
        tokenizer=tokenizer,
        name=files.name,
        revision=files.revision,
        class_names=names,
        max_tokens=limit,
        pad_id=_pad_id(tokenizer, config),
    )


def token_limit(model: Any, tokenizer: Any) -> int:
    """Return the largest number of tokens that the model can read.

    It is the number of position embeddings, without those that RoBERTa-like models reserve for padding, or the
    tokenizer's limit if that is lower; ``_FALLBACK_TOKENS`` if the model has no positions."""
    limits = [_FALLBACK_TOKENS]
    declared = getattr(model.config, "max_position_embeddings", None)
    if isinstance(declared, int) and declared > 0:
        limits = [declared]
    for name, module in model.named_modules():
        if name.rpartition(".")[2] in ("position_embeddings", "embed_positions", "wpe") and hasattr(module, "weight"):
            padding = getattr(module, "padding_idx", None)
            # Positions start after the padding's index in models like RoBERTa, at ``offset`` in models like BART.
            taken = getattr(module, "offset", 0) if padding is None else padding + 1
            limits.append(int(module.weight.shape[0]) - taken)
    # A tokenizer without a limit has 1e30. A limit that leaves no room for text is a mistake and is ignored.
    if tokenizer.num_special_tokens_to_add(pair=True) < tokenizer.model_max_length:
        limits.append(tokenizer.model_max_length)
    return min(limits)


def _refuse(files: ModelFiles, found: list[str]) -> None:
    if found:
        raise ModelError(f"{files.name} can't be exported: {'; '.join(found)}")


def _no_safetensors(files: ModelFiles) -> str:
    pickled = sorted(path.name for path in files.folder.glob("*.bin"))
    which = f", only {', '.join(pickled[:2])}, which can run code because it is pickled" if pickled else ""
    proposal = "; or take the hub's own conversion, if the model's page has one, with `revision='refs/pr/N'`"
    return (
        f'it has no *.safetensors weights{which}; if you trust the model, write safetensors: python -c "from '
        "transformers import AutoModelForSequenceClassification as M, AutoTokenizer as T; "
        f"[c.from_pretrained({files.name if files.on_hub else str(files.folder)!r}).save_pretrained('FOLDER') "
        f'for c in (M, T)]" and export FOLDER{proposal if files.on_hub else ""}'
    )


def _load_config(files: ModelFiles) -> Any:
    from transformers import AutoConfig

    with captured("loading the configuration"):
        return AutoConfig.from_pretrained(files.folder, trust_remote_code=False, local_files_only=True)


def _sparse_from(config: Any) -> int | None:
    """Return the largest number of tokens that a BigBird reads with full attention; None for any other attention."""
    if getattr(config, "attention_type", None) != "block_sparse":
        return None
    return int((5 + 2 * config.num_random_blocks) * config.block_size)


def _forgetful(config: Any, limit: int) -> list[str]:
    """Return a reason if the model's function depends on the texts before: a BigBird's, that reads longer texts."""
    most = _sparse_from(config)
    if most is None or limit <= most:
        return []
    return [
        f"its block_sparse attention changes to full attention for good at the first text of at most {most} tokens, so "
        f"that its losses depend on the order of the texts; give `max_tokens={most}`, or set attention_type to "
        "'original_full' in config.json"
    ]


def _load_weights(files: ModelFiles, config: Any) -> Any:
    from transformers import AutoModelForSequenceClassification

    with captured("loading the weights"):
        model, info = AutoModelForSequenceClassification.from_pretrained(
            files.folder,
            config=config,
            attn_implementation="eager",
            **in_float32(),
            local_files_only=True,
            output_loading_info=True,
            trust_remote_code=False,
            use_safetensors=True,
        )
    missing = sorted(info["missing_keys"])
    if missing:
        # transformers would initialise the missing weights randomly.
        shown = refusals.listed(missing, 4)
        _refuse(
            files,
            [
                f"its weights lack {shown} of {type(model).__name__}, which transformers would initialise randomly; "
                "give a trained classifier"
            ],
        )
    return model.eval()


def _misfits(model: Any, tokenizer: Any, classes: int) -> list[str]:
    """Return the reasons why model, tokenizer and class names don't fit together."""
    import torch

    with captured("reading the table of token embeddings"):  # CANINE has none: it reads characters
        embedded = model.get_input_embeddings().weight.shape[0]
    largest = tokenizers.largest_id(tokenizer)
    if largest >= embedded:
        return [f"its tokenizer gives ids up to {largest}, but the model only knows ids up to {embedded - 1}"]
    (encoding,) = tokenizers.encode(tokenizer, [("A text", None)], token_limit(model, tokenizer))
    ids = torch.tensor([encoding["input_ids"]] * 2)
    with captured("running the model in torch"), torch.inference_mode():
        # A batch of two: a decoder without a padding token raises ValueError on a batch of several rows.
        try:
            mask = {"attention_mask": torch.ones_like(ids)} if "attention_mask" in inputs_of(model) else {}
            outputs = model(input_ids=ids, **mask).logits.shape[-1]
        except ValueError as error:
            return [f"{type(model).__name__} can't run a batch ({one_line(error)})"]
    return [] if outputs == classes else [f"it has {outputs} outputs but config.json has {classes} classes"]


def _pad_id(tokenizer: Any, config: Any) -> int:
    """Return the padding id; 0 if the model has none: any id will do, because padding is masked."""
    return next((int(i) for i in (config.pad_token_id, tokenizer.pad_token_id) if i is not None), 0)
