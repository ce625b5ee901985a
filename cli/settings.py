"""The options of `score` and `bench` that say how rows are read and scored.

Each is a keyword argument of the same word: of ``ScoreOptions``, which has the defaults, or of ``open_source``.
"""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from cli.options import F
from scorer.data.labels import read_label_map
from scorer.model.tokenizer import LONG_TEXTS
from scorer.pipeline.options import ON_ERROR, PRECISIONS, ScoreOptions

_DEFAULTS = {field.name: field.default for field in fields(ScoreOptions)}
_COUNT = click.IntRange(min=1)
_FILE = click.Path(path_type=Path)

# Each setting's type, which is bool for a flag, and its help.
_SETTINGS: dict[str, tuple[Any, str]] = {
    "text_column": (str, "Column with the text.  [default: guessed (text, sentence, ...) and printed]"),
    "text_pair_column": (str, "Column with the second text, for models of text pairs."),
    "label_column": (str, "Column with the label.  [default: guessed (label, labels, ...) and printed]"),
    "id_column": (str, "Column with your own id, which is kept with the scores."),
    "label_map": (_FILE, 'JSON file {"data label": "model class"}; null leaves a label out.'),
    "config": (str, "Configuration of a `datasets` data set."),
    "split": (str, "Split of a `datasets` data set or of a saved DatasetDict."),
    "streaming": (bool, "Read a `datasets` data set, by name or folder, without downloading it whole."),
    "device": (click.Choice(["auto", "cpu", "cuda"]), "Where the model runs; auto takes a GPU if there is one."),
    "threads": (_COUNT, "Batches that run at once on a CPU.  [default: the cores available]"),
    "precision": (
        click.Choice(PRECISIONS),
        "fp32; int8, faster and less exact; or screen: int8 for all rows and fp32 for the worst.",
    ),
    "screen_top": (
        _COUNT,
        "How many of the worst rows a screen must find as fp32 would.  [default: 1% of the rows, at least 1000]",
    ),
    "max_tokens": (_COUNT, "Cut texts after this many tokens.  [default: the model's limit]"),
    "long_text": (
        click.Choice(LONG_TEXTS),
        "What is read of longer texts: their start, their end, or the mean over overlapping pieces (64 at most).",
    ),
    "batch_tokens": (
        _COUNT,
        "Tokens in a padded batch.  [default: tried on the data if the run is long, else 512; 16384 on a GPU]",
    ),
    "window_rows": (_COUNT, "Rows sorted by length together.  [default: as many as fit a shard, up to 4096]"),
    "shard_rows": (_COUNT, "Rows written together, and kept or scored again together."),
    "on_error": (click.Choice(ON_ERROR), "Rows that can't be read: count them and go on, or stop at the first."),
}


def setting_options(*, without: tuple[str, ...] = ()) -> Callable[[F], F]:
    """Add an option for every setting to a command, ``without`` some of them."""

    def decorate(command: F) -> F:
        for name, (kind, text) in reversed(_SETTINGS.items()):
            if name not in without:
                command = _option(name, kind, text)(command)
        return command

    return decorate


def _option(name: str, kind: Any, text: str) -> Callable[[F], F]:
    word = f"--{name.replace('_', '-')}"
    if kind is bool:
        return click.option(word, is_flag=True, help=text)
    default = _DEFAULTS.get(name)
    return click.option(word, type=kind, default=default, show_default=default is not None, help=text)


def settings_of(given: dict[str, Any]) -> tuple[ScoreOptions, dict[str, Any]]:
    """Return the settings that a command was given as ``ScoreOptions``, and the others, which say how to read the data.

    Raises:
        LabelError: the file of the label map can't be read as one.
        RunError: settings don't go together.
    """
    options = {name: value for name, value in given.items() if name in _DEFAULTS}
    if options["label_map"] is not None:
        options["label_map"] = read_label_map(options["label_map"])
    return ScoreOptions(**options), {name: value for name, value in given.items() if name not in _DEFAULTS}
