"""read_run(): what people decided of the rows of another run, of this one's data or of those that became them."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cli.publish.decided import decided_rows
from cli.publish.matching import BY_ID, matched
from cli.review.decided import Reading
from cli.review.decision import DISCARDED, KEPT, Answer
from scorer import RunDirectory, RunError
from scorer.reopen import reopen_source

RUN = "run"  # as a decision's source
_STATUS = re.compile(r"label_status(_\d+)?")  # the columns of `apply`


def read_run(path: Path, run: RunDirectory) -> Reading:
    """Read another run's decisions as answers about ``run``'s rows.

    A kept row has the label that it had there. Rows are the same by number where the data are the same, or are what
    ``lossrank apply`` made of the other run's with these decisions, whole; else by id. Decisions of rows that this run
    has not, or of a label that is no class, are counted as ``foreign``.

    Raises:
        RunError: it is no finished run, nobody has decided anything there, or the rows can't be matched.
        SourceError: this run's data, which has to be looked at, is gone or has changed.
    """
    other = RunDirectory.open(path)
    if other.path.resolve() == run.path.resolve():
        raise RunError(f"{path} is the run itself; give another one, whose decisions it is to have")
    decided = decided_rows(other)
    rows = _same_rows(other, run, {one.row: one.verdict for one in decided.decisions})
    answers = []
    for one, given in zip(decided.decisions, decided.given, strict=True):
        label = given if one.verdict == KEPT else one.label
        if one.row in rows and (label is not None or one.verdict == DISCARDED):
            answers.append(Answer(rows[one.row], one.annotator, label, one.decided_at))
    return Reading(answers, len(decided.decisions) - len(answers), frozenset())


def _same_rows(other: RunDirectory, run: RunDirectory, verdicts: Mapping[int, str]) -> dict[int, int]:
    """Return the number that each decided row of another run has in this one, of those that it has."""
    if other.data_fingerprint == run.data_fingerprint or _is_applied(run, other.num_rows, verdicts):
        return {row: row for row in verdicts}
    if not (other.columns["id"] and run.columns["id"]):
        raise RunError(
            f"the data of {run.path} are neither those of {other.path} nor what `lossrank apply` made of them now, so "
            "their rows can only be matched by an id: score both with --id-column"
        )
    found: dict[int, int] = {}
    for pairs in matched(other, run, BY_ID):
        decided = np.isin(pairs.row_a, list(verdicts))
        found |= zip(pairs.row_a[decided].tolist(), pairs.row_b[decided].tolist(), strict=True)
    return found


def _is_applied(run: RunDirectory, num_rows: int, verdicts: Mapping[int, str]) -> bool:
    """Say whether the data have a column in which each decided row has the status that its decision gave it."""
    if run.num_rows != num_rows:
        return False
    source = reopen_source(run.manifest["data"]["spec"], run.data_fingerprint)
    names = [name for name in source.schema.names if _STATUS.fullmatch(name)]
    if not names:
        return False
    taken = source.take(np.array(list(verdicts), dtype=np.int64))
    return any(taken[name].to_pylist() == list(verdicts.values()) for name in names)
