"""Save the model's tokenizer as one ``tokenizer.json`` and check that it gives the same ids as transformers.

Some behaviour of a transformers tokenizer is not in that file (how special tokens written in a text are read, which
token type ids are left out, clean-up in Python). So the ids of both are compared on the parity texts.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exporter.errors import ModelError
from exporter.fetch import ModelFiles
from exporter.libraries import captured
from exporter.parity.texts import Text
from scorer.model.bundle import TOKENIZER, ModelBundle
from scorer.model.tokenizer import BundleTokenizer
from scorer.text import one_line

Encoding = dict[str, list[int]]  # input_ids, attention_mask and, with some tokenizers, token_type_ids

_SPECIAL = tuple(f"{name}_token" for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))
_SETTINGS = ("model_input_names", "model_max_length", "padding_side", "truncation_side")
_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer_config.json")


def load_tokenizer(files: ModelFiles) -> Any:
    """Load the model's fast tokenizer with transformers, which converts a slow one where it can.

    Raises:
        ModelError: the model has no tokenizer.
        ModelError: the tokenizer needs custom code.
        ModelError: the tokenizer has no fast version.
    """
    from transformers import AutoTokenizer

    auto: Any = AutoTokenizer
    if not any((files.folder / name).is_file() for name in _FILES) and not any(files.folder.glob("*.model")):
        raise ModelError(
            f"{files.name} can't be exported: it has no tokenizer; add the tokenizer's files ({', '.join(_FILES)}, ...)"
        )
    with captured("loading the tokenizer"):
        try:
            tokenizer = auto.from_pretrained(files.folder, trust_remote_code=False, local_files_only=True)
        except Exception as error:  # loading or converting a tokenizer can raise any exception
            tokenizer = _saved_by_a_newer_version(files.folder)
            if tokenizer is None:
                raise ModelError(
                    f"{files.name} can't be exported: its tokenizer can't be loaded as a fast one ({one_line(error)})"
                ) from error
    if not tokenizer.is_fast:
        raise ModelError(
            f"{files.name} can't be exported: its tokenizer {type(tokenizer).__name__} is a slow one that transformers "
            "can't convert to a tokenizer.json"
        )
    return tokenizer


def _saved_by_a_newer_version(folder: Path) -> Any:
    """Return the tokenizer of a folder that transformers 5 saved in a way that 4 can't load; None of any other folder.

    All of such a tokenizer is in tokenizer.json; tokenizer_config.json has its special tokens and settings.
    """
    from transformers import PreTrainedTokenizerFast

    plain: Any = PreTrainedTokenizerFast
    files = [folder / name for name in ("tokenizer.json", "tokenizer_config.json")]
    if not all(file.is_file() for file in files):
        return None
    try:
        settings = json.loads(files[1].read_text(encoding="utf-8"))
    except ValueError:
        return None
    extra = settings.get("extra_special_tokens")
    if settings.get("tokenizer_class") != "TokenizersBackend" and not isinstance(extra, list):
        return None
    kept = {name: settings[name] for name in (*_SPECIAL, *_SETTINGS) if settings.get(name) is not None}
    more = {"additional_special_tokens": extra} if isinstance(extra, list) else {}
    return plain(tokenizer_file=str(files[0]), **kept, **more)


def reasons(tokenizer: Any, config: Any) -> list[str]:
    """Return every reason not to export a classifier with this tokenizer; the list is empty if there is none."""
    ids = (tokenizer.pad_token_id, config.pad_token_id)
    if None in ids or ids[0] == ids[1]:
        return []
    return [f"the padding token is {ids[0]} in its tokenizer but {ids[1]} in config.json; make the two equal"]


def largest_id(tokenizer: Any) -> int:
    """Return the largest id in the tokenizer's vocabulary, -1 if the vocabulary is empty."""
    return max(tokenizer.get_vocab().values(), default=-1)


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write ``tokenizer.json`` without truncation or padding, even if the tokenizer has these settings."""
    from tokenizers import Tokenizer

    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    (folder / TOKENIZER).write_text(backend.to_str(pretty=True) + "\n", encoding="utf-8")


def encode(tokenizer: Any, texts: Sequence[Text], max_tokens: int) -> list[Encoding]:
    """Return the encodings of texts and pairs, each tokenised by a call of its own to the transformers tokenizer."""
    with captured("tokenising in transformers"):
        # Each text is a list of one: called with two strings, transformers ignores an empty second text.
        parts = [[[part] for part in text if part is not None] for text in texts]
        calls = (tokenizer(*part, truncation=True, max_length=max_tokens) for part in parts)
        return [{name: rows[0] for name, rows in call.items()} for call in calls]


def require_same_ids(bundle: ModelBundle, texts: Sequence[Text], encodings: Sequence[Encoding]) -> None:
    """Check that the bundle's tokenizer gives the ids that transformers gave, for every text and pair.

    Raises:
        ModelError: ids or token type ids differ; the message has the index of the first such text.
    """
    ours = BundleTokenizer(bundle)
    for i, (text, expected) in enumerate(zip(texts, encodings, strict=True)):
        window = ours.tokenise([text[0]], None if text[1] is None else [text[1]])
        pairs = [("ids", window.ids.tolist(), expected["input_ids"])]
        if "token_type_ids" in bundle.input_names:
            zeros = [0] * len(window.ids)  # fed to the model where a tokenizer gives no type ids
            given = zeros if window.type_ids is None else window.type_ids.tolist()
            pairs.append(("token type ids", given, expected.get("token_type_ids", zeros)))
        for what, found, wanted in pairs:
            if found != wanted:
                raise ModelError(
                    f"{bundle.model} can't be exported: its tokenizer.json gives other {what} than its "
                    f"tokenizer in transformers for text {i} of {len(texts)} ({text[0][:30]!r}): "
                    f"{_first_difference(found, wanted)}"
                )


def _first_difference(found: list[int], wanted: list[int]) -> str:
    position = next((p for p, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b), None)
    if position is None:
        return f"{len(found)} tokens, not {len(wanted)}"
    return f"{found[position]} instead of {wanted[position]} at token {position}"
