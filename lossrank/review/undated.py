"""What people said in places that don't date it, such as a file, and when it first came from there."""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import replace

from lossrank.review.decision import Answer, now_text
from scorer import RunError


def dated(
    database: sqlite3.Connection, answers: Iterable[Answer], source: str, emptied: Mapping[tuple[int, str], str]
) -> list[Answer]:
    """Return each person's latest answer to each row, as old as when it first came, and remember it if it is new.

    Of an older copy of a file the newer answer that is remembered is returned, unless that is dated later than now, by
    a wrong clock. What a person said of a row before they ``emptied`` it, at the moment given, is forgotten.

    Raises:
        RunError: a name can't be stored.
    """
    latest = {(one.row, one.annotator): one for one in sorted(answers, key=lambda one: one.answered_at)}
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
    """Pass a name that can be stored: JSON can hold half a character, which is no text.

    Raises:
        RunError: it can't.
    """
    try:
        annotator.encode()
    except UnicodeEncodeError as error:
        raise RunError(f"the annotator {annotator!r} holds half a character; write the name anew") from error
