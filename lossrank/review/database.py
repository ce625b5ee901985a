"""review.sqlite in a run directory: what is in it, and how it is opened, to write or to read alone."""

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lossrank.review.decision import RELABELLED, VERDICTS
from scorer import RunDirectory, RunError

FILE = "review.sqlite"
_FORMAT = 1
_PATIENCE = 10.0  # seconds that another writer is waited for
_HINTS = {
    sqlite3.SQLITE_CANTOPEN: "; is the run's folder there, and may it be written?",
    sqlite3.SQLITE_IOERR: "; is its disk full?",
    sqlite3.SQLITE_FULL: "; free some space and try again: no decision that was stored is lost",
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


def open_to_write(run: RunDirectory) -> sqlite3.Connection:
    """Open a run's database, which is made where it is missing or empty.

    Raises:
        RunError: it is damaged, somebody else's, of a newer lossrank, can't be written, or its decisions are of other
            data, columns or labels, or of classes that the run's model doesn't have.
    """
    path = run.path / FILE
    with reporting(path), _closed_at_fault(_connected(path)) as db:
        _is_made(path, db)  # what it refuses is left as it is
        _write_ahead(db)
        db.execute("PRAGMA synchronous = FULL")  # a decision survives the machine, too
        with transaction(db):
            if not _is_made(path, db):
                for statement in _SCHEMA.split(";\n"):
                    db.execute(statement)
                about = [("data", run.data_fingerprint), ("judged", json.dumps(_judged(run)))]
                db.executemany("INSERT INTO about VALUES (?, ?)", about)
            db.execute("DELETE FROM about WHERE FALSE")  # a database that is only readable begins any transaction
        _refuse_foreign(run, db)
        return db


def open_to_read(run: RunDirectory) -> sqlite3.Connection | None:
    """Open a run's database where perhaps nothing can be written; None where there is none, or nothing is in it yet.

    Raises:
        RunError: as for ``open_to_write``, or what was decided last can't be read without writing.
    """
    path = run.path / FILE
    if not path.is_file():
        return None
    with reporting(path), _closed_at_fault(_readable(path)) as db:
        if not _is_made(path, db):  # a full disk ended who began it
            db.close()
            return None
        _refuse_foreign(run, db)
        return db


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Write all or nothing, as the only writer."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        db.rollback()  # of a COMMIT that failed, too: what is on no disk would be read as held
        raise


@contextlib.contextmanager
def reporting(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into one line.

    Raises:
        RunError: the database can't be used.
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
    """Connect to a database so that it can be read.

    SQLite has to write beside a database of this kind (WAL) even to read it, unless another process does. Where that is
    not allowed it may be taken for one that never changes, but only if nothing is left in the journals beside it: such
    a one is read past them, and what was decided last would be missing.
    """
    db = _connected(path, "mode=rw")  # of a file that can't be written SQLite makes "ro" of it
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
                f"{path} can't be read where nothing can be written, as what was decided last is still in {left[0]}; "
                "copy the whole run to a place that can be written"
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
    """Have a database in WAL mode; of two that make it one at the same moment SQLite lets one fail at once."""
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
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == code  # of what sqlite3 itself refuses there is none


def _is_made(path: Path, db: sqlite3.Connection) -> bool:
    """Say whether a database has its tables.

    Raises:
        RunError: it is somebody else's, or of a newer lossrank.
    """
    names = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    version = db.execute("PRAGMA user_version").fetchone()[0]  # after them: another process may just be making both
    if names and (version == 0 or "about" not in names):
        raise RunError(f"{path} is a database of something else; move it away to review anew")
    if version > _FORMAT:
        raise RunError(f"{path} was written by a newer lossrank (format {version}); upgrade lossrank")
    return bool(version)


def _refuse_foreign(run: RunDirectory, db: sqlite3.Connection) -> None:
    path = run.path / FILE
    aside = f"move {path} away to review anew"
    about = dict(db.execute("SELECT key, value FROM about"))
    if about.get("data") != run.data_fingerprint:
        raise RunError(f"the decisions in {path} are of other data than the run's; {aside}")
    labels = {label for (label,) in db.execute("SELECT DISTINCT label FROM decisions WHERE label NOT NULL")}
    if strange := sorted(labels - set(run.class_names)):
        raise RunError(
            f"the decisions in {path} have the labels {', '.join(map(repr, strange))}, and the classes are "
            f"{', '.join(run.class_names)}; {aside}"
        )
    if "judged" in about and (other := _other(json.loads(about["judged"]), _judged(run))):
        raise RunError(
            f"the decisions in {path} are of other labels than the run's: {other}; {aside}", quotes_data=True
        )


def _judged(run: RunDirectory) -> dict[str, Any]:
    """Return what people judge beside the data: the columns that they see, and the class that each label stands for.

    A row is kept with the label that it has, so with another label column or label map it would be another one.
    """
    names = dict(enumerate(run.class_names))
    meant = run.manifest.labels.map if run.manifest.labels else {}
    return {
        "columns": {role: getattr(run.columns, role) for role in ("text", "text_pair", "label")},
        "labels": {value: names.get(index) for value, index in meant.items()},
    }


def _other(then: dict[str, Any], now: dict[str, Any]) -> str | None:
    """Say in what two runs' rows are judged otherwise, None if in nothing; labels that only one of them knows don't."""
    for what, said in (("columns", "the {0} column was {1!r} and is {2!r}"), ("labels", "{0!r} was {1} and is {2}")):
        for name in sorted(then[what].keys() & now[what].keys()):
            before, after = then[what][name], now[what][name]
            if before != after:
                return said.format(name, before or "none", after or "none")
    return None
