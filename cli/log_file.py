"""``--log-file``: events as JSON lines, each flushed at once, so that a long run can be watched.

A line has ``time`` (UTC), ``level``, ``event`` and the event's own fields, but never a text from the data.
"""

import contextlib
import logging
import os
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from cli.keywords import in_options
from lossrank.tables.json_values import json_line
from scorer import LossrankError, Plan, Progress, RunDirectory, RunError, RunStats
from scorer.address import Address, scrubbed
from scorer.data.columns import KNOWN
from scorer.data.folders.find import would_read
from scorer.data.source import Data
from scorer.errors import recordable
from scorer.events import LOG, event
from scorer.files import reporting
from scorer.layout import is_part_of_run
from scorer.pipeline.plan import DataPlan
from scorer.run.protect import refuse_own_data, refuse_scores
from scorer.text import printable

_EVERY = 30.0  # seconds between lines of progress


@contextlib.contextmanager
def logging_to(file: Path | None, command: str, **fields: Any) -> Iterator[None]:
    """Log a command to ``file``, if given: its start with ``fields``, its events, and the error that ends it.

    Raises:
        RunError: the file can't be written, or is part of a run.
    """
    if file is None:
        yield
        return
    if is_part_of_run(file):
        raise RunError(f"`log_file` {file} is part of a run; choose another name")
    refuse_scores(file)
    with reporting(file):
        _end_line(file)
        handler = _Lines(file, mode="a", encoding="utf-8")
    handler.setFormatter(_Json())
    before = LOG.level, LOG.propagate
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    try:
        event("start", command=command, pid=os.getpid(), **fields)
        yield
    except (KeyboardInterrupt, SystemExit):
        event("interrupted", logging.WARNING)
        raise
    except BaseException as error:
        event("error", logging.ERROR, **_described(error))
        raise
    finally:
        LOG.removeHandler(handler)
        LOG.setLevel(before[0])
        LOG.propagate = before[1]
        handler.close()


def _end_line(file: Path) -> None:
    """End the last line of a log file if a full disk cut that line off, so that the next line is valid JSON."""
    if file.is_file() and file.stat().st_size:
        with file.open("r+b") as stream:
            stream.seek(-1, os.SEEK_END)
            if stream.read() != b"\n":
                stream.write(b"\n")


def refuse_log_file(
    log_file: Path | None,
    *,
    folder: Path | None = None,
    files: Iterable[Path | None] = (),
    read: Iterable[str] = (),
    runs: Iterable[Path] = (),
    data: Data | None = None,
) -> None:
    """Raise RunError if the command reads or writes the log file itself; call this before logging starts.

    Args:
        log_file: the log file; if None, nothing is checked.
        folder: the folder that the command makes.
        files: the files that the command reads or writes.
        read: the addresses of the data that the command scores.
        runs: the runs that the command reads; their scored data is checked too.
        data: where the data of ``runs`` is now, if the data has moved.

    Raises:
        RunError: the log file is one of these files, would be read as data, or is in ``folder``.
    """
    if log_file is None:
        return
    own = log_file.resolve()
    if folder is not None and own.is_relative_to(folder.resolve()):
        raise RunError(f"`log_file` {log_file} is in {folder}, which the command makes; put it beside the folder")
    if own in [file.resolve() for file in files if file is not None]:
        raise RunError(f"`log_file` {log_file} is a file that the command reads or writes itself; choose another name")
    for address in map(Address.parse, read):
        if would_read(address, log_file):
            raise RunError(f"`log_file` {log_file} is in {address.shown} and would be read as data; put it elsewhere")
    for run in runs:
        try:
            opened = RunDirectory.open(run)
        except (LossrankError, OSError):
            continue  # the command itself reports what is wrong with the run
        refuse_own_data(log_file, opened, data)


def log_plan(plan: DataPlan) -> None:
    """Log the plan of a run."""
    how = ("device", "threads", "precision", "screen_top", "batch_tokens") if isinstance(plan, Plan) else ()
    event(
        "plan",
        data=plan.source.name,
        rows=plan.source.num_rows,
        columns=_columns(plan),
        guessed=list(plan.columns.guessed),
        labels=None if plan.labels is None else plan.labels.how,
        **{name: getattr(plan, name) for name in how},
    )


def _columns(plan: DataPlan) -> dict[str, str | None]:
    """Return the column of each role: the column's name if lossrank knows that name, else the column's position.

    Unknown names are not logged, because the column names of a CSV file without a header are texts of the data.
    """
    names = plan.source.readable_schema.names

    def shown(name: str | None) -> str | None:
        return name if name is None or name in KNOWN else f"column {names.index(name) + 1} of {len(names)}"

    return {role: shown(name) for role, name in plan.columns.to_dict().items()}


def log_end(stats: RunStats) -> None:
    """Log the summary of a run, without the fields that quote labels or lines of the data."""
    summary = stats.to_dict()
    del summary["unknown_labels"], summary["problems"]
    event("end", **summary, rows_per_second=stats.rows_per_second)


class ProgressLog:
    """Logs progress every 30 seconds; call it with each ``Progress``."""

    def __init__(self, every: float = _EVERY) -> None:
        self._every = every
        self._logged = time.monotonic()
        self._rescoring = False

    def __call__(self, progress: Progress) -> None:
        if progress.rescored and not self._rescoring:
            self._rescoring = True
            event("rescoring", **_counts(progress))
        elif time.monotonic() - self._logged >= self._every:
            event("progress", **_counts(progress))
        else:
            return
        self._logged = time.monotonic()


def _counts(progress: Progress) -> dict[str, Any]:
    return {
        "done": progress.done,
        "left": progress.left,
        "rescored": progress.rescored,
        "rows_per_second": round(progress.rows_per_second, 3),
        "seconds": round(progress.seconds, 3),
    }


def _described(error: BaseException) -> dict[str, str]:
    """Return an error's kind and message; a message that may quote the data is withheld."""
    return {"kind": type(error).__name__, "message": printable(in_options(recordable(error)))}


class _Lines(logging.FileHandler):
    """Writes the log file; if a line can't be written, the first such line is reported and the command continues."""

    _broken = False

    def handleError(self, record: logging.LogRecord) -> None:
        if not self._broken:
            self._broken = True
            click.echo(f"{self.baseFilename} can't be written any more; the command continues without it.", err=True)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # the rest of its buffer can't be written either
            super().close()


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: dict[str, Any] = getattr(record, "fields", {})
        safe = _scrubbed(fields)
        return json_line({"time": moment, "level": record.levelname.lower(), "event": record.getMessage(), **safe})


def _scrubbed(value: Any) -> Any:
    """Return a value with the secrets in its addresses removed."""
    if isinstance(value, dict):
        return {key: _scrubbed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_scrubbed(item) for item in value]
    return scrubbed(str(value)) if isinstance(value, str | Path) else value
