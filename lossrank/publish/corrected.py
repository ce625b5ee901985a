"""CorrectedRows: the rows of a run's data, in order, with the labels that people decided on."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lossrank.publish.schema import NewColumns, corrected_schema, new_columns
from lossrank.publish.spelling import Spelling, spell
from lossrank.publish.survey import is_text_source, survey
from lossrank.review.decided_rows import STATUSES, Decided
from lossrank.review.decision import DISCARDED
from scorer import RunDirectory, Source
from scorer.data.arrow import plain_array, valid_text
from scorer.data.formats.base import PROBLEM


@dataclass
class CorrectedRows:
    """The corrected data set, read in batches of rows.

    ``dictionaries`` maps the dictionary-encoded label columns to their values, which all batches share. ``notes`` tell
    what a user should know about the data set, and are complete before it is read. ``unreadable`` counts the broken
    lines read so far; ``repaired`` names the columns read so far with bytes that are not UTF-8.
    """

    run: RunDirectory
    source: Source
    decided: Decided
    schema: pa.Schema
    spelling: Spelling
    columns: NewColumns
    dictionaries: dict[str, pa.Array]
    notes: tuple[str, ...]
    drop_discarded: bool
    unreadable: int = 0
    repaired: set[str] = field(default_factory=set)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Return the names of a ClassLabel column in the data's order, for other columns the model's class names."""
        return self.spelling.class_labels or self.run.class_names

    @property
    def num_rows(self) -> int:
        dropped = self.decided.counts(self.run.num_rows)[DISCARDED] if self.drop_discarded else 0
        return self.run.num_rows - dropped

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield batches of the corrected rows, in the order of the data.

        Raises:
            SourceError: the data can't be read.
            SourceError: the data has changed since it was opened.
        """
        at = 0
        for batch in self.source.read():
            yield self._corrected(batch, at)
            at += len(batch)
        self.source.refuse_change()

    def _corrected(self, batch: pa.RecordBatch, at: int) -> pa.RecordBatch:
        low, high = np.searchsorted(self.decided.rows, (at, at + len(batch)))
        places = self.decided.rows[low:high] - at
        status = np.zeros(len(batch), dtype=np.int8)
        status[places] = self.decided.codes[low:high]
        columns = {name: self._valid(batch, name) for name in self.source.schema.names}
        if PROBLEM in batch.schema.names:
            self.unreadable += len(batch) - batch.column(PROBLEM).null_count
        new = self.columns
        old = columns[new.label] if new.original else pa.nulls(len(batch), pa.string())
        columns[new.label] = self._relabelled(old, places, low, high)
        if new.original:
            columns[new.original] = old
        columns[new.status] = pa.array(STATUSES, pa.string()).take(pa.array(status))
        for name, values in self._reviewers(low, high).items():
            columns[name] = _scattered(pa.nulls(len(batch), values.type), values, places)
        arrays = [self._typed(columns[field.name], field) for field in self.schema]
        corrected = pa.RecordBatch.from_arrays(arrays, schema=self.schema)
        if self.drop_discarded:
            corrected = corrected.filter(pa.array(status != STATUSES.index(DISCARDED)))
        return corrected

    def _typed(self, array: pa.Array, field: pa.Field) -> pa.Array:
        values = self.dictionaries.get(field.name)
        return _cast(array, field.type) if values is None else _encoded(array, field.type, values)

    def _valid(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        column = batch.column(name)
        valid = valid_text(column)
        if valid is not column:
            self.repaired.add(name)
        return valid

    def _relabelled(self, old: pa.Array, places: NDArray[np.int64], low: int, high: int) -> pa.Array:
        """Return a batch's labels; each relabelled row gets the value that spells its new class."""
        read = old.dictionary_decode() if pa.types.is_dictionary(old.type) else _cast(old, self.spelling.read_type)
        labels = [one.label for one in self.decided.decisions[low:high]]
        chosen = [i for i, label in enumerate(labels) if label is not None]
        values = pa.array([self.spelling.values[str(labels[i])] for i in chosen], self.spelling.read_type)
        return _scattered(read, values, places[chosen])

    def _reviewers(self, low: int, high: int) -> dict[str, pa.Array]:
        """Return annotator, source and time of a batch's decisions, by column name; {} if they were not requested."""
        made: list[list[Any]] = [
            [one.annotator, one.source, datetime.fromisoformat(one.decided_at)]
            for one in self.decided.decisions[low:high]
        ]
        return {
            name: pa.array([values[i] for values in made], self.schema.field(name).type)
            for i, name in enumerate(self.columns.reviewers)
        }


def corrected_rows(
    run: RunDirectory, source: Source, decided: Decided, *, drop_discarded: bool = False, reviewers: bool = False
) -> CorrectedRows:
    """Prepare the corrected data set: read the data once to learn how it spells the classes.

    ``source`` is the scored data, opened again.

    Raises:
        RunError: a row was relabelled to a class that the label column can't spell.
        RunError: a shard can't be read.
        SourceError: the data can't be read.
    """
    found = survey(run, source)
    spelling = spell(run, source, found, decided.new_classes)
    columns = new_columns(run, source, reviewers=reviewers)
    schema = corrected_schema(source.schema, found.types, spelling, columns, features=not is_text_source(source))
    dictionaries = {columns.label: spelling.dictionary, columns.original: found.dictionary}
    known = {name: values for name, values in dictionaries.items() if name is not None and values is not None}
    notes = (*found.notes, *spelling.notes, *columns.notes)
    return CorrectedRows(run, source, decided, schema, spelling, columns, known, notes, drop_discarded)


def _scattered(array: pa.Array, values: pa.Array, places: NDArray[np.int64]) -> pa.Array:
    """Return ``array`` [n] with its elements at the indices ``places`` [k] replaced by ``values`` [k]."""
    if not len(values):
        return array
    index = np.arange(len(array))
    index[places] = len(array) + np.arange(len(values))
    return pa.concat_arrays([array, values]).take(pa.array(index))


def _cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    return array if array.type == kind else array.cast(kind)


def _encoded(array: pa.Array, kind: pa.DataType, values: pa.Array) -> pa.Array:
    """Return the array encoded as the dictionary type ``kind``, with ``values`` as its dictionary."""
    indices = pc.index_in(plain_array(array), value_set=values, skip_nulls=True).cast(kind.index_type)
    return pa.DictionaryArray.from_arrays(indices, values, ordered=kind.ordered)
