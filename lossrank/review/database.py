"""The database review.sqlite in a run directory: its tables, and functions to open it for writing or reading."""

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lossrank.review.decision import RELABELLED, VERDICTS
from scorer import RunDirectory, RunError
from scorer.layout import REVIEW
from scorer.text import some

FILE = REVIEW
_FORMAT = 1
_PATIENCE = 10.0  # seconds to wait for another writer
_HINTS = {
    sqlite3.SQLITE_CANTOPEN: "; check that the run's folder exists and can be written",
    sqlite3.SQLITE_IOERR: "; check that the disk is not full",
    sqlite3.SQLITE_FULL: "; free some space and try again (no stored decision is lost)",
}
_SCHEMA = f"""
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE decisions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    row INTEGER NOT NULL CHECK (row >= 0),
    verdict TEXT NOT NULL CHECK (verdict IN {VERDICTS}),
    label TEXT CHECK ((label IS NOT NULL) = (verdict = '{RELABELLED}')),
    annotator TEXT NOT NULL,
    source TEXT NOT NULL,
    decided_at TEXT NOT NULL,
    said_at TEXT NOT NULL,
    undone INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX decisions_of_row ON decisions (row, decided_at, number);
CREATE TABLE said (
    row INTEGER NOT NULL,
    annotator TEXT NOT NULL,
    source TEXT NOT NULL,
    label TEXT,
    answered_at TEXT NOT NULL,
    PRIMARY KEY (row, annotator, source)
);
CREATE TABLE places (
    tool TEXT NOT NULL,
    url TEXT NOT NULL,
    workspace TEXT NOT NULL,
    name TEXT NOT NULL,
    logged_at TEXT NOT NULL,
    PRIMARY KEY (tool, url, workspace, name)
);
PRAGMA user_version = {_FORMAT};
"""
_COUNT = "SELECT count(*) FROM decisions WHERE NOT undone"


def open_to_write(run: RunDirectory) -> sqlite3.Connection:
    """Open a run's database for writing; create it if it is missing or empty.

    Raises:
        RunError: the database is damaged or can't be written.
        RunError: the database belongs to another program or a newer lossrank.
        RunError: the decisions are for other data, columns or labels, or name a class that the model lacks.
    """
    path = run.path / FILE
    with reporting(path), _closed_at_fault(_connected(path)) as db:
        _is_made(path, db)  # before the first write, so that another program's file stays unchanged
        _write_ahead(db)
        db.execute("PRAGMA synchronous = FULL")  # a stored decision survives a power cut
        with transaction(db):
            if not _is_made(path, db):
                for statement in _SCHEMA.split(";\n"):
                    db.execute(statement)
                about = [("data", run.data_fingerprint), ("judged", json.dumps(_judged(run)))]
                db.executemany("INSERT INTO about VALUES (?, ?)", about)
            db.execute("DELETE FROM about WHERE FALSE")  # fails now if the database is read-only; BEGIN alone would not
        _refuse_foreign(run, db)
        return db


def open_to_read(run: RunDirectory) -> sqlite3.Connection | None:
    """Open a run's database for reading, also from a read-only folder; return None if it is missing or empty.

    Raises:
        RunError: as for ``open_to_write``.
        RunError: the folder is read-only, and the latest decisions can't be read without writing.
    """
    path = run.path / FILE
    if not path.is_file():
        return None
    with reporting(path), _closed_at_fault(_readable(path)) as db:
        if not _is_made(path, db):  # a full disk stopped the process that was creating it
            db.close()
            return None
        _refuse_foreign(run, db)
        return db


def count_decisions(folder: Path) -> int:
    """Return how many decisions that are not undone a folder's database holds; 0 if there is none.

    The folder need not be a sound run.

    Raises:
        RunError: the database is damaged, belongs to another program or a newer lossrank, or can't be read.
    """
    path = folder / FILE
    if not path.is_file():
        return 0
    with reporting(path), contextlib.closing(_readable(path)) as db:
        return int(db.execute(_COUNT).fetchone()[0]) if _is_made(path, db) else 0


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Run a block as one transaction, with no other writer at the same time; all its changes are stored, or none."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        db.rollback()  # also after a failed COMMIT, or the connection would show rows that are not on disk
        raise


@contextlib.contextmanager
def reporting(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into RunError.

    Raises:
        RunError: SQLite can't use the database.
    """
    try:
        yield
    except sqlite3.Error as error:
        mend = next((hint for code, hint in _HINTS.items() if _is(error, code)), "")
        raise RunError(f"{path} can't be used: {error}{mend}") from error


def _connected(path: Path, how: str = "mode=rwc") -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}",
        uri=True,
        timeout=_PATIENCE,
        isolation_level=None,
        check_same_thread=False,
    )


def _readable(path: Path) -> sqlite3.Connection:
    """Connect to a database for reading.

    To read a database in WAL mode, SQLite must write files beside it. If it can't, the database is opened as immutable.
    SQLite then ignores the journal files, which may contain the latest decisions, so this is done only if they are
    empty.
    """
    db = _connected(path, "mode=rw")  # SQLite falls back to "ro" if the file can't be written
    try:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return db
    except sqlite3.OperationalError as error:
        db.close()
        if _is(error, sqlite3.SQLITE_BUSY):
            raise
        journals = [path.with_name(f"{path.name}-{kind}") for kind in ("wal", "journal")]
        if left := [file.name for file in journals if file.is_file() and file.stat().st_size]:
            raise RunError(
                f"{path} can't be read from a read-only folder, because the latest decisions are still in {left[0]}; "
                "copy the whole run to a folder that can be written"
            ) from error
    except BaseException:
        db.close()
        raise
    return _connected(path, "mode=ro&immutable=1")


@contextlib.contextmanager
def _closed_at_fault(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield db
    except BaseException:
        db.close()
        raise


def _write_ahead(db: sqlite3.Connection) -> None:
    """Switch a database to WAL mode; try again while another process does so, because SQLite then fails at once."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if not _is(error, sqlite3.SQLITE_BUSY) or time.monotonic() > until:
                raise
        time.sleep(0.01)


def _is(error: sqlite3.Error, code: int) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == code  # errors of the sqlite3 module itself have no code


def _is_made(path: Path, db: sqlite3.Connection) -> bool:
    """Return whether the tables of a database have been created.

    Raises:
        RunError: the database belongs to another program or to a newer lossrank.
    """
    names = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    version = db.execute("PRAGMA user_version").fetchone()[0]  # after the names: another process may be creating both
    if names and (version == 0 or "about" not in names):
        raise RunError(f"{path} is a database of another program; move it away to start a new review")
    if version > _FORMAT:
        raise RunError(f"{path} was written by a newer lossrank (format {version}); upgrade lossrank")
    return bool(version)


def _refuse_foreign(run: RunDirectory, db: sqlite3.Connection) -> None:
    """Raise RunError if the decisions in a database are for other data, classes, labels or columns than the run's."""
    path = run.path / FILE
    aside = f"move {path} away to start a new review"
    about = dict(db.execute("SELECT key, value FROM about"))
    if about.get("data") != run.data_fingerprint:
        raise RunError(f"the decisions in {path} are for other data than the run's; {aside}")
    labels = {label for (label,) in db.execute("SELECT DISTINCT label FROM decisions WHERE label NOT NULL")}
    if strange := sorted(labels - set(run.class_names)):
        raise RunError(
            f"the decisions in {path} have the labels {', '.join(map(repr, strange))}, but the run's classes are "
            f"{some(run.class_names)}; {aside}"
        )
    if "judged" in about and (other := _other(json.loads(about["judged"]), _judged(run))):
        raise RunError(
            f"the decisions in {path} are for other labels or columns than the run's: {other}; {aside}",
            quotes_data=True,
        )


def _judged(run: RunDirectory) -> dict[str, Any]:
    """Return what decisions depend on besides the data: the columns, and the class that each label stands for.

    A "kept" decision keeps the given label, so another label column or label map would change what the decision means.
    """
    names = dict(enumerate(run.class_names))
    meant = run.manifest.labels.map if run.manifest.labels else {}
    return {
        "columns": {role: getattr(run.columns, role) for role in ("text", "text_pair", "label")},
        "labels": {value: names.get(index) for value, index in meant.items()},
    }


def _other(then: dict[str, Any], now: dict[str, Any]) -> str | None:
    """Return the first difference between two results of ``_judged``, None if there is none.

    A label that occurs in only one of the two results is not a difference.
    """
    for what, sentence in (
        ("columns", "the {0} column was {1!r} and is now {2!r}"),
        ("labels", "label {0!r} stood for {1} and now stands for {2}"),
    ):
        for name in sorted(then[what].keys() & now[what].keys()):
            before, after = then[what][name], now[what][name]
            if before != after:
                return sentence.format(name, before or "none", after or "none")
    return None
