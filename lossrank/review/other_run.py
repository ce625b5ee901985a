"""read_run(): people's decisions in another run, over the same data or over the data that `apply` corrected."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lossrank.review.decided_rows import Decided, decided_rows
from lossrank.review.decision import DISCARDED, KEPT, UNREVIEWED, Answer, Reading, class_named
from scorer import RunDirectory, RunError
from scorer.audit.given import given_labels
from scorer.audit.matching import BY_ID, have_ids, matched
from scorer.data.source import Data
from scorer.run.reopened import reopen_data, same_data

RUN = "run"  # the source of decisions pulled from a run
_STATUS = re.compile(r"label_status(_\d+)?")  # columns that `apply` adds


def read_run(path: Path, run: RunDirectory, data: Data | None = None) -> Reading:
    """Return the decisions of the run at ``path`` as answers to ``run``'s rows.

    ``data`` is where ``run``'s data is now. A kept row becomes an answer with its given label. Rows are matched by
    number if both runs have the same data, or if ``run``'s data is what ``lossrank apply`` writes for these decisions
    without dropping a row; otherwise by id. ``foreign`` counts the decisions, except discards, that can't be used:
    their row is not in ``run``, or they keep a row without a label that the model knows.

    Raises:
        RunError: ``path`` is not a finished run, or is ``run`` itself.
        RunError: the run at ``path`` has no decisions, or its rows can't be matched.
        SourceError: the data of ``run`` is missing or has changed.
    """
    other = RunDirectory.open(path)
    if other.path.resolve() == run.path.resolve():
        raise RunError(f"{path} is the run to pull into; give the other run, which has the decisions")
    decided = decided_rows(other)
    rows = _same_rows(other, run, decided, data)
    answers, foreign = [], 0
    for decision, given in zip(decided.decisions, decided.given, strict=True):
        label = given if decision.verdict == KEPT else decision.label
        if label is not None:
            label = class_named(label, run.class_names) or label
        if decision.row in rows and (label is not None or decision.verdict == DISCARDED):
            answers.append(Answer(rows[decision.row], decision.annotator, label, decision.decided_at))
        else:
            foreign += decision.verdict != DISCARDED
    return Reading(answers, foreign, {})


def _same_rows(other: RunDirectory, run: RunDirectory, decided: Decided, data: Data | None) -> dict[int, int]:
    """Map each decided row of ``other`` to the same row of ``run``; rows that ``run`` lacks are left out."""
    by_number = {row: row for row in decided.rows.tolist()}
    if same_data(other, run) or _is_applied(other, run, decided, data):
        return by_number
    if not have_ids(other, run):
        raise RunError(
            f"the data of {run.path} is neither the data of {other.path} nor what `lossrank apply` writes for the "
            f"decisions in {other.path}, so rows can be matched only by id; score both runs with `id_column`"
        )
    return _by_id(other, run, decided.rows)


def _by_id(other: RunDirectory, run: RunDirectory, rows: NDArray[np.int64]) -> dict[int, int]:
    found: dict[int, int] = {}
    for pairs in matched(other, run, BY_ID):
        wanted = np.isin(pairs.row_a, rows)
        found |= zip(pairs.row_a[wanted].tolist(), pairs.row_b[wanted].tolist(), strict=True)
    return found


def _is_applied(other: RunDirectory, run: RunDirectory, decided: Decided, data: Data | None) -> bool:
    """Return whether ``run``'s data has the labels and status column that ``apply`` writes for the decisions."""
    if run.num_rows != other.num_rows:
        return False
    labels = given_labels(run, decided.rows.tolist())
    pairs = zip(decided.decisions, decided.given, strict=True)
    wanted = [given if decision.label is None else decision.label for decision, given in pairs]
    if [label and class_named(label, run.class_names) for label in wanted] != list(labels.values()):
        return False
    source = reopen_data(run, data)
    names = [name for name in source.schema.names if _STATUS.fullmatch(name)]
    statuses = np.full(run.num_rows, UNREVIEWED, dtype=object)
    statuses[decided.rows] = [decision.verdict for decision in decided.decisions]
    same, at = dict.fromkeys(names, True), 0
    for batch in source.read(names) if names else ():
        for name in names:
            same[name] &= batch[name].to_pylist() == statuses[at : at + len(batch)].tolist()
        at += len(batch)
    return any(same.values())
