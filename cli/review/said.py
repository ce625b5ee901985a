"""What people said in places that don't date it, such as a file, and when it first came from there."""

import sqlite3
from collections.abc import Iterable
from dataclasses import replace

from cli.review.decision import Answer, now_text
from scorer import RunError


def dated(
    database: sqlite3.Connection, answers: Iterable[Answer], source: str, emptied: Iterable[tuple[int, str]]
) -> list[Answer]:
    """Return each person's latest answer to each row, as old as when it first came, and remember it if it is new.

    An older copy of a file changes nothing, unless what is remembered is dated later than now, by a wrong clock. What a
    person said of a row that they ``emptied`` is forgotten.

    Raises:
        RunError: a name can't be stored.
    """
    latest = {(one.row, one.annotator): one for one in sorted(answers, key=lambda one: one.answered_at)}
    for row, annotator in set(emptied) - latest.keys():
        refuse_name(annotator)
        database.execute("DELETE FROM said WHERE row = ? AND annotator = ? AND source = ?", (row, annotator, source))
    now = now_text()
    found = []
    for (row, annotator), answer in latest.items():
        refuse_name(annotator)
        known = database.execute(
            "SELECT label, answered_at FROM said WHERE row = ? AND annotator = ? AND source = ?",
            (row, annotator, source),
        ).fetchone()
        if known and known[0] == answer.label:
            answer = replace(answer, answered_at=known[1])
        elif known is None or known[1] < answer.answered_at or known[1] > now:
            database.execute(
                "INSERT OR REPLACE INTO said VALUES (?, ?, ?, ?, ?)",
                (row, annotator, source, answer.label, answer.answered_at),
            )
        found.append(answer)
    return found


def refuse_name(annotator: str) -> None:
    """Pass a name that can be stored: JSON can hold half a character, which is no text.

    Raises:
        RunError: it can't.
    """
    try:
        annotator.encode()
    except UnicodeEncodeError as error:
        raise RunError(f"the annotator {annotator!r} holds half a character; write the name anew") from error
