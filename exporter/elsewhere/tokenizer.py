"""read_tokenizer(): read a tokenizer's folder without transformers, and refuse what tokenizer.json alone doesn't do.

When transformers loads a tokenizer, settings of tokenizer_config.json override what tokenizer.json says. A bundle has
tokenizer.json only, so the two must agree.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from exporter.errors import ModelError
from exporter.libraries import captured
from scorer.model.bundle import TOKENIZER
from scorer.text import listed

_CONFIG, _SPECIAL = "tokenizer_config.json", "special_tokens_map.json"
_UNLIMITED = 1_000_000  # transformers writes 1e30 for a tokenizer without a limit
# What transformers' BERT tokenizers set anew, and the name of the setting in tokenizer.json.
_NORMALIZER = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}


@dataclass(frozen=True)
class GivenTokenizer:
    """A tokenizer without truncation or padding.

    ``special_tokens`` are texts; ``largest_id`` is -1 if the vocabulary is empty; ``keeps_end`` tells whether the end
    of a long text is read instead of its start.
    """

    backend: Tokenizer
    max_tokens: int
    pad_id: int
    special_tokens: tuple[str, ...]
    largest_id: int
    keeps_end: bool

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json`` to a folder."""
        (folder / TOKENIZER).write_text(self.backend.to_str(pretty=True) + "\n", encoding="utf-8")


def read_tokenizer(given: str | Path, max_tokens: int | None) -> GivenTokenizer:
    """Read a folder with tokenizer.json, or that file; tokenizer_config.json beside it is read if it is there.

    Raises:
        ModelError: there is no tokenizer.json, or it can't be read.
        ModelError: neither ``max_tokens`` nor tokenizer_config.json says how many tokens the model reads.
        ModelError: tokenizer_config.json has a setting that tokenizer.json lacks.
    """
    path = Path(given).expanduser()
    file = path / TOKENIZER if path.is_dir() or not path.suffix else path
    if not file.is_file():
        raise ModelError(
            f"`tokenizer`: there is no {file}; a folder with {TOKENIZER} is needed, which "
            "AutoTokenizer.from_pretrained(MODEL).save_pretrained(FOLDER) of transformers writes"
        )
    with captured(f"reading {file} as a tokenizer"):
        try:
            backend = Tokenizer.from_file(str(file))
            content = json.loads(file.read_text(encoding="utf-8"))
        except Exception as error:  # tokenizers raises bare Exceptions
            raise ModelError(f"`tokenizer`: {file} can't be read as a tokenizer ({str(error)[:120]})") from error
    settings = _json(file.with_name(_SPECIAL)) | _json(file.with_name(_CONFIG))
    if faults := _faults(settings, content, backend):
        raise ModelError(f"`tokenizer`: {file.parent / _CONFIG} and {TOKENIZER} disagree: {'; '.join(faults)}")
    backend.no_truncation()
    backend.no_padding()
    return GivenTokenizer(
        backend=backend,
        max_tokens=_limit(file, settings, backend, max_tokens),
        pad_id=_pad_id(file, settings, content, backend),
        special_tokens=tuple(token["content"] for token in content.get("added_tokens", ()) if token.get("special")),
        largest_id=max(backend.get_vocab(with_added_tokens=True).values(), default=-1),
        keeps_end=settings.get("truncation_side") == "left",
    )


def _json(file: Path) -> dict[str, Any]:
    """Return a JSON object; {} if the file does not exist."""
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"`tokenizer`: {file} can't be read ({str(error)[:120]})") from error
    if not isinstance(found, dict):
        raise ModelError(f"`tokenizer`: {file} is not a JSON object")
    return found


def _faults(settings: dict[str, Any], content: dict[str, Any], backend: Tokenizer) -> list[str]:
    """Return the settings that transformers would follow although tokenizer.json says otherwise."""
    found = []
    normalizer = content.get("normalizer") or {}
    if normalizer.get("type") == "BertNormalizer":
        for setting, own in _NORMALIZER.items():
            if setting in settings and settings[setting] != normalizer.get(own):
                found.append(f"{setting} is {settings[setting]}, but {own} is {normalizer.get(own)}")
    first = content.get("pre_tokenizer") or {}
    if first.get("type") == "ByteLevel" and settings.get("add_prefix_space") not in (None, first["add_prefix_space"]):
        found.append(f"add_prefix_space is {settings['add_prefix_space']}, but {first['add_prefix_space']}")
    added = (settings.get("added_tokens_decoder") or {}).items()
    if lacking := [token["content"] for i, token in added if backend.token_to_id(token["content"]) != int(i)]:
        found.append(f"the latter lacks the tokens {listed(lacking)}, or has them under other ids")
    return found


def _limit(file: Path, settings: dict[str, Any], backend: Tokenizer, asked: int | None) -> int:
    least = backend.num_special_tokens_to_add(is_pair=True) + 1
    declared = settings.get("model_max_length")
    if asked is not None:
        if asked < least:
            raise ModelError(f"`max_tokens` is {asked}; this tokenizer needs at least {least} for a text and its marks")
        return asked
    if isinstance(declared, int | float) and least <= declared < _UNLIMITED:
        return int(declared)
    raise ModelError(
        f"{file.parent / _CONFIG} doesn't say how many tokens of a text the model reads (model_max_length is "
        f"{declared}); give it as `max_tokens`, such as `max_tokens=512` for most BERT models"
    )


def _pad_id(file: Path, settings: dict[str, Any], content: dict[str, Any], backend: Tokenizer) -> int:
    """Return the padding id; 0 if the tokenizer has none: parity shows whether padding is masked."""
    token = settings.get("pad_token")
    token = token.get("content") if isinstance(token, dict) else token
    if token is None:
        return int((content.get("padding") or {}).get("pad_id", 0))
    found = backend.token_to_id(token)
    if found is None:
        raise ModelError(f"`tokenizer`: its padding token {token!r} is not in the vocabulary of {file}")
    return int(found)
