"""Date answers that have no date of their own, such as those in a CSV file, by when they were first seen.

A file gives all its answers the date of its last save. Without the table ``said``, which holds the first dates, saving
a file again would make its old answers newer than decisions made since, and pulling an older copy would bring back
answers that a person has changed.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import replace

from lossrank.review.decision import Answer, now_text
from scorer import RunError


def dated(
    database: sqlite3.Connection, answers: Iterable[Answer], source: str, emptied: Mapping[tuple[int, str], str]
) -> list[Answer]:
    """Return each annotator's latest answer per row, dated by when it was first seen, and remember the new ones.

    If the answer is older than the remembered one, as in an older copy of a file, the remembered one is returned,
    unless a wrong clock dated the remembered one in the future. ``emptied`` maps (row, annotator) to the time at which
    the person cleared the answer; a remembered answer from before is forgotten.

    Raises:
        RunError: an annotator's name can't be stored.
    """
    ascending = sorted(answers, key=lambda answer: answer.answered_at)
    latest = {(answer.row, answer.annotator): answer for answer in ascending}
    for _, annotator in {*latest, *emptied}:
        refuse_name(annotator)
    now = now_text()
    database.executemany(
        "DELETE FROM said WHERE row = ? AND annotator = ? AND source = ? AND (answered_at < ? OR answered_at > ?)",
        [(*key, source, moment, now) for key, moment in emptied.items() if key not in latest],
    )
    found = []
    for (row, annotator), answer in latest.items():
        known = database.execute(
            "SELECT label, answered_at FROM said WHERE row = ? AND annotator = ? AND source = ?",
            (row, annotator, source),
        ).fetchone()
        if known and (known[0] == answer.label or answer.answered_at < known[1] <= now):
            several = answer.several and known[0] == answer.label
            answer = replace(answer, label=known[0], answered_at=known[1], several=several)
        else:
            database.execute(
                "INSERT OR REPLACE INTO said VALUES (?, ?, ?, ?, ?)",
                (row, annotator, source, answer.label, answer.answered_at),
            )
        found.append(answer)
    return found


def refuse_name(annotator: str) -> None:
    """Check that a name can be stored: JSON can hold half a surrogate pair, but UTF-8 can't.

    Raises:
        RunError: the name holds half a surrogate pair.
    """
    try:
        annotator.encode()
    except UnicodeEncodeError as error:
        raise RunError(f"the annotator {annotator!r} holds half a character; write the name again") from error
