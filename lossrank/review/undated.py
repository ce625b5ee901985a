"""Date the answers from a source without dates, such as a CSV file, by when each answer was first seen.

All answers in such a file have the date of the file's last save. The table ``said`` records when each answer was first
seen. Without it, saving a file again would make old answers newer than decisions made since, and pulling an older copy
would bring back answers that a person has changed.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import replace

from lossrank.review.decision import Answer, now_text
from scorer import RunError


def dated(
    database: sqlite3.Connection, answers: Iterable[Answer], source: str, emptied: Mapping[tuple[int, str], str]
) -> list[Answer]:
    """Return each annotator's latest answer per row, dated by when it was first seen, and record new answers.

    If an answer is older than the recorded answer, as in an older copy of a file, the recorded answer is returned,
    unless its date is in the future because of a wrong clock. ``emptied`` maps (row, annotator) to the time at which
    the person cleared the answer; an answer recorded before that time is forgotten.

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
    """Check that an annotator's name can be stored; a name from JSON may have half a surrogate pair, which UTF-8 lacks.

    Raises:
        RunError: the name contains half a surrogate pair.
    """
    try:
        annotator.encode()
    except UnicodeEncodeError as error:
        raise RunError(f"the annotator's name {annotator!r} contains half a character; correct the name") from error
