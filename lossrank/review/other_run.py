"""read_run(): what people decided of the rows of another run, of this one's data or of those that became them."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lossrank.review.decided_rows import Decided, decided_rows
from lossrank.review.decision import DISCARDED, KEPT, UNREVIEWED, Answer, Reading, class_named
from scorer import RunDirectory, RunError
from scorer.audit.matching import BY_ID, have_ids, matched
from scorer.data.reopen import reopen_source
from scorer.data.source import Data
from scorer.run.directory import given_labels

RUN = "run"  # as a decision's source
_STATUS = re.compile(r"label_status(_\d+)?")  # the columns of `apply`


def read_run(path: Path, run: RunDirectory, data: Data | None = None) -> Reading:
    """Read another run's decisions as answers about ``run``'s rows; ``data`` is where its data lies now.

    A kept row has the label that it had there. Rows are the same by number where the data are the same, or are what
    ``lossrank apply`` made of the other run's with just these decisions and every row; else by id.
    Decisions of rows that this run has not, discarded ones aside, and of kept labels that are no class, are counted as
    ``foreign``.

    Raises:
        RunError: it is no finished run, nobody has decided anything there, or the rows can't be matched.
        SourceError: this run's data, which has to be looked at, is gone or has changed.
    """
    other = RunDirectory.open(path)
    if other.path.resolve() == run.path.resolve():
        raise RunError(f"{path} is the run itself; give another one, whose decisions it is to have")
    decided = decided_rows(other)
    rows = _same_rows(other, run, decided, data)
    answers, foreign = [], 0
    for one, given in zip(decided.decisions, decided.given, strict=True):
        label = given if one.verdict == KEPT else one.label
        if label is not None:
            label = class_named(label, run.class_names) or label
        if one.row in rows and (label is not None or one.verdict == DISCARDED):
            answers.append(Answer(rows[one.row], one.annotator, label, one.decided_at))
        else:
            foreign += one.verdict != DISCARDED
    return Reading(answers, foreign, {})


def _same_rows(other: RunDirectory, run: RunDirectory, decided: Decided, data: Data | None) -> dict[int, int]:
    """Return the number that each decided row of another run has in this one, of those that it has."""
    by_number = {row: row for row in decided.rows.tolist()}
    if other.data_fingerprint == run.data_fingerprint or _is_applied(other, run, decided, data):
        return by_number
    if not have_ids(other, run):
        raise RunError(
            f"the data of {run.path} are neither those of {other.path} nor all that `lossrank apply` made of them now, "
            "so their rows can only be matched by an id: score both with --id-column"
        )
    return _by_id(other, run, decided.rows)


def _by_id(other: RunDirectory, run: RunDirectory, rows: NDArray[np.int64]) -> dict[int, int]:
    found: dict[int, int] = {}
    for pairs in matched(other, run, BY_ID):
        wanted = np.isin(pairs.row_a, rows)
        found |= zip(pairs.row_a[wanted].tolist(), pairs.row_b[wanted].tolist(), strict=True)
    return found


def _is_applied(other: RunDirectory, run: RunDirectory, decided: Decided, data: Data | None) -> bool:
    """Say whether a run's data have the labels and, in one column, the statuses that another's decisions gave them."""
    if run.num_rows != other.num_rows:
        return False
    labels = given_labels(run, decided.rows.tolist())
    pairs = zip(decided.decisions, decided.given, strict=True)
    wanted = [given if one.label is None else one.label for one, given in pairs]
    if [label and class_named(label, run.class_names) for label in wanted] != list(labels.values()):
        return False
    source = reopen_source(run.manifest.data.spec, run.data_fingerprint, data)
    names = [name for name in source.schema.names if _STATUS.fullmatch(name)]
    statuses = np.full(run.num_rows, UNREVIEWED, dtype=object)
    statuses[decided.rows] = [one.verdict for one in decided.decisions]
    same, at = dict.fromkeys(names, True), 0
    for batch in source.read(names) if names else ():
        for name in names:
            same[name] &= batch[name].to_pylist() == statuses[at : at + len(batch)].tolist()
        at += len(batch)
    return any(same.values())
