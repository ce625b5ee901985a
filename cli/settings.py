"""The options of `score` and `bench` for how rows are read and scored.

Each option sets the keyword argument of the same name, of ``ScoreOptions`` (which has the default) or ``open_source``.
"""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from cli.options import F
from scorer.data.read_options import ANNOTATORS, QUOTING
from scorer.model.tokenizer import LONG_TEXTS
from scorer.pipeline.options import ON_ERROR, PRECISIONS, ScoreOptions

_DEFAULTS = {field.name: field.default for field in fields(ScoreOptions)}
_COUNT = click.IntRange(min=1)
_FILE = click.Path(path_type=Path)
_FLAG_OR_NOT = object()  # an option such as --header/--no-header, which is None if it isn't given


_SEVERAL = object()  # an option that may be given several times
_NAMES = object()  # an option with several names, separated by commas


# Each setting's type (bool for a flag) and its help.
_SETTINGS: dict[str, tuple[Any, str]] = {
    "text_column": (
        _SEVERAL,
        "Column with the text; repeat it to join several.  [default: guessed (text, sentence, ...) and printed]",
    ),
    "join": (str, "What is put between the texts of several --text-column."),
    "text_pair_column": (str, "Column with the second text, if the model takes text pairs."),
    "label_column": (str, "Column with the label.  [default: guessed (label, labels, ...) and printed]"),
    "no_label": (bool, "Score without labels, though a column could be the label."),
    "id_column": (str, "Column with your own row ids, which are kept with the scores."),
    "label_map": (
        _FILE,
        'JSON file {"data label": "model class"}; a label with the class null is ignored. Must have every label that '
        "is not named like a class.",
    ),
    "no_label_value": (str, "Label that means that a row has no label, such as -1 or unlabeled."),
    "config": (str, "Configuration of a `datasets` data set."),
    "split": (str, "Split of a `datasets` data set, a saved DatasetDict, or a folder of files named by split."),
    "streaming": (bool, "Read a `datasets` data set (name or folder) without downloading all of it first."),
    "delimiter": (str, "Character between the fields of a CSV file.  [default: recognised from the file and printed]"),
    "quoting": (
        click.Choice(QUOTING),
        "Whether a double quote at the start of a CSV field encloses the field (minimal) or is part of the text "
        "(none).  [default: recognised from the file]",
    ),
    "encoding": (str, "Encoding of text files, such as cp1252.  [default: UTF-8, or what a byte-order mark says]"),
    "columns": (_NAMES, "Names of the columns of a CSV file without a header, separated by commas."),
    "header": (
        _FLAG_OR_NOT,
        "Whether the first line of a CSV file has the names of the columns.  [default: recognised from the file]",
    ),
    "annotators": (
        click.Choice(ANNOTATORS),
        "Where several people labelled a row: take the label of the majority, or the first one.",
    ),
    "device": (click.Choice(["auto", "cpu", "cuda"]), "Where the model runs; auto uses a GPU if there is one."),
    "threads": (_COUNT, "Batches that run at the same time on a CPU.  [default: one per available core]"),
    "precision": (
        click.Choice(PRECISIONS),
        "fp32 is exact; int8 is faster but less exact; screen runs int8 on all rows, then fp32 on the worst.",
    ),
    "screen_top": (
        _COUNT,
        "With --precision screen: number of worst rows that must be the same as with fp32.  [default: 1% of the "
        "rows, at least 1000]",
    ),
    "max_tokens": (_COUNT, "Cut texts after this many tokens.  [default: the model's limit]"),
    "long_text": (
        click.Choice(LONG_TEXTS),
        "How a text over --max-tokens is scored: by its start, its end, or the mean over up to 64 overlapping pieces.  "
        "[default: as the model was trained, else head]",
    ),
    "batch_tokens": (
        _COUNT,
        "Most tokens in a batch, with padding.  [default: chosen by trials on the data if the run is long, else 512; "
        "16384 on a GPU]",
    ),
    "window_rows": (
        _COUNT,
        "Rows in a window; the rows of a window are sorted by length.  [default: --shard-rows, at most 4096]",
    ),
    "shard_rows": (_COUNT, "Rows in a shard, the file that scores are written to."),
    "on_error": (
        click.Choice(ON_ERROR),
        "What to do with a row that can't be read: skip and count it, or stop with an error.",
    ),
    "all_probs": (
        bool,
        "Keep the probabilities of all classes of every row, even of more than 256, not only the 20 highest and the "
        "label's.",
    ),
}


def setting_options(*, without: tuple[str, ...] = ()) -> Callable[[F], F]:
    """Add an option to a command for every setting but those in ``without``."""

    def decorate(command: F) -> F:
        for name, (kind, text) in reversed(_SETTINGS.items()):
            if name not in without:
                command = _option(name, kind, text)(command)
        return command

    return decorate


def _option(name: str, kind: Any, text: str) -> Callable[[F], F]:
    word = f"--{name.replace('_', '-')}"
    if kind is bool:
        return click.option(word, is_flag=True, default=_DEFAULTS.get(name, False), help=text)
    if kind is _FLAG_OR_NOT:
        return click.option(f"{word}/--no-{name}", default=None, help=text)
    if kind is _SEVERAL:
        return click.option(
            word, multiple=True, default=None, callback=lambda context, option, given: given or None, help=text
        )
    if kind is _NAMES:
        return click.option(word, metavar="NAME,NAME,...", callback=_names, help=text)
    default = _DEFAULTS.get(name)
    return click.option(word, type=kind, default=default, show_default=default is not None, help=text)


def _names(context: click.Context, option: click.Parameter, value: str | None) -> list[str] | None:
    return None if value is None else [name.strip() for name in value.split(",")]
