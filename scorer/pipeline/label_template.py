"""label_template(): a label map with every label of the data, to be filled in by the user."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scorer.data.labels.counts import count_labels
from scorer.data.labels.label_map import number_of
from scorer.data.labels.suggest import template, write_template
from scorer.data.opening.open import open_source
from scorer.data.read_options import ReadOptions
from scorer.data.source import Data
from scorer.errors import LabelError
from scorer.model.bundle import ModelBundle
from scorer.pipeline.options import ScoreOptions
from scorer.pipeline.plan import find_columns
from scorer.text import MISSING, fold


@dataclass(frozen=True)
class LabelTemplate:
    """A label map to fill in: ``mapping`` has each label of the data; its class is an empty text if it is not certain.

    ``file`` is where the map was written.
    """

    file: Path
    mapping: dict[str, Any]

    @property
    def open_labels(self) -> list[str]:
        """The labels whose class must be filled in."""
        return [label for label, target in self.mapping.items() if target == ""]


def label_template(
    bundle: ModelBundle | str | Path | Sequence[str],
    data: Data,
    file: Path,
    options: ScoreOptions,
    *,
    config: str | None = None,
    split: str | None = None,
    streaming: bool = False,
    read: ReadOptions | None = None,
) -> LabelTemplate:
    """Write a label map with every label of the data as a JSON file; nothing is scored.

    Args:
        bundle: an exported model, or its directory; or the names of the classes.
        data: anything ``open_source`` accepts, with ``config``, ``split``, ``streaming`` and ``read``.
        file: the file to write, which must not exist.
        options: the columns, and a ``label_map`` whose entries are kept.

    Raises:
        BundleError, SourceError: as for ``score_dataset``.
        LabelError: the data has no label column or no label, has too many labels to be labels, or ``file`` exists.
        RunError: the file can't be written.
    """
    bundle = ModelBundle.load(bundle) if isinstance(bundle, str | Path) else bundle
    class_names = bundle.class_names if isinstance(bundle, ModelBundle) else tuple(bundle)
    source = open_source(data, config=config, split=split, streaming=streaming, read=read)
    source, columns = find_columns(source, options)
    column = columns.label
    if column is None:
        raise LabelError("a label map needs labels, but the data has no label; name its column with `label_column`")
    names = source.label_names.get(column)
    labels = list(names) if names else _labels(count_labels(source, column), options.no_label_value)
    if not labels:
        raise LabelError(
            f"a label map needs labels, but no row has one in column {column!r}; name another column with "
            "`label_column`"
        )
    mapping = template(labels, class_names, options.label_map or {})
    write_template(file, mapping)
    return LabelTemplate(file, mapping)


def _labels(counts: Iterable[str], no_label_value: str | None) -> list[str]:
    """Return the different labels, each spelt in one way, in order; a number is spelt as a whole number."""
    spelt: dict[str, str] = {}
    for label in counts:
        number = number_of(fold(label))
        word = label.strip() if number is None else str(number)
        if word and word not in MISSING:
            spelt.setdefault(fold(word), word)
    if no_label_value is not None:
        spelt.pop(fold(no_label_value), None)
    return sorted(spelt.values(), key=lambda word: (number_of(word) is None, number_of(word) or 0, word))
