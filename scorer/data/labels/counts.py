"""count_labels(): a first pass over the label column alone, which counts every label in bounded memory."""

from collections import Counter

from scorer.data.hf_datasets import StreamPart
from scorer.data.labels.values import count_texts, single_labels
from scorer.data.parts import FilePart
from scorer.data.source import Source
from scorer.errors import LabelError
from scorer.text import listed

MOST = 20_000  # different labels
_MOST_CHARACTERS = 1 << 25  # of all different labels together


def is_countable(source: Source) -> bool:
    """Return whether a pass over a column downloads no stream again.

    A stream of the hub by name is read from its start whatever column is wanted.
    """
    return not any(isinstance(part, StreamPart) and not (part.digests or part.files) for part in source.parts)


def _counted(source: Source, column: str) -> Counter[str] | None:
    """Return the counts that opening the files has made; None if a file has none."""
    total = Counter[str]()
    for part in source.parts:
        if not isinstance(part, FilePart) or column not in part.found.counts:
            return None
        total.update(part.found.counts[column])
    return total


def count_labels(source: Source, column: str, most: int = MOST) -> Counter[str]:
    """Return how many rows have each label, by its text as it is in the data; rows without a value are left out.

    Raises:
        SourceError: the data can't be read.
        LabelError: the column has more than ``most`` different values, so it holds no labels.
        LabelError: a row has several labels.
    """
    if (known := _counted(source, column)) is not None:
        return known
    kind = source.schema.field(column).type
    counts = Counter[str]()
    row = 0
    for batch in source.read([column]):
        counts.update(count_texts(single_labels(batch.column(column), kind, column, row)))
        row += len(batch)
        if len(counts) > most or (len(counts) > 1000 and sum(map(len, counts)) > _MOST_CHARACTERS):
            raise LabelError(
                f"column {listed([column], 60)} has {len(counts):,} different values in its first {row:,} rows, too "
                "many for labels; name the column of the labels with `label_column`, or score without labels with "
                "`no_label=True`"
            )
    return counts
