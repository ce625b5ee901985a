"""Decisions of a run that `score` replaced: how many it holds, and how they carry over to the run that replaced it.

The old run is set aside whole, beside the new one, before the new one is begun; the new run's manifest says where. The
decisions are copied when the new run is finished, in one transaction that also records that they were. So whenever the
process is killed, the decisions are in one of the two runs, and the same `score` command goes on.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from textwrap import shorten

from lossrank.review.database import FILE, count_decisions, open_to_write, reporting, transaction
from lossrank.review.decision import DISCARDED, KEPT, RELABELLED, Decision, class_named
from lossrank.review.store import read_decisions
from scorer.audit.given import given_labels
from scorer.errors import LossrankError, RunError
from scorer.layout import ASIDE, MANIFEST
from scorer.run.content import text_hashes
from scorer.run.directory import RunDirectory
from scorer.run.reopened import reopen_data
from scorer.run.start import Existing

_ROOM = 240  # characters of a note for an error
_CARRIED = "carried"  # the key under which a store records the run that its decisions were carried over from


def existing_run(output: Path, *, overwrite: bool, discard_decisions: bool) -> Existing:
    """Return what becomes of a run in ``output``, with the number of decisions that it holds.

    Raises:
        RunError: ``discard_decisions`` is given without ``overwrite``.
        RunError: the run's decisions can't be read, and it is to be overwritten without ``discard_decisions``.
    """
    if discard_decisions:
        if not overwrite:
            raise RunError("`discard_decisions` goes with `overwrite=True`; without that, a run is resumed")
        return Existing(overwrite=True, discard=True)
    try:
        decisions = count_decisions(output)
    except RunError as error:
        if not overwrite:
            return Existing()
        raise RunError(f"{error}; or lose what is in it with `discard_decisions=True`") from error
    aside = _left_aside(output) if overwrite and not decisions and not (output / MANIFEST).exists() else None
    return Existing(overwrite, decisions, aside=aside, recount=partial(count_decisions, output))


def _left_aside(output: Path) -> Path | None:
    """Return the run that a killed process has set aside before it could write the new run's manifest."""
    place = output.resolve()
    left = sorted(place.parent.glob(f"{_literal(place.name)}{ASIDE}*")) if place.parent.is_dir() else []
    for folder in reversed(left):
        with contextlib.suppress(RunError):
            if count_decisions(folder):
                return folder
    return None


def _literal(name: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in name)


def set_aside_note(output: Path) -> str | None:
    """Return one line that tells where the run lies whose decisions are still to carry over to ``output``, or None."""
    run = RunDirectory.read(output)
    place = _to_carry(run)
    if place is None:
        return None
    with contextlib.suppress(RunError):
        found = count_decisions(place)
        return f"the earlier run, with {found:,} decisions, lies in {place}; those on unchanged texts carry over"
    return None


def carry_over(run: RunDirectory) -> str | None:
    """Copy the decisions on unchanged texts from the run that this one replaced, once; return what was done, in a line.

    A decision on a row with another label now still says the same class: a kept row becomes a relabelled one, and the
    reverse. Returns None if the run replaced no run, or its decisions were copied before.

    Raises:
        RunError: the run's own decisions can't be written.
    """
    place = _to_carry(run)
    if place is None:
        return None
    found, carried = 0, list[Decision]()
    try:
        found = count_decisions(place)
        old = RunDirectory.open(place)
        decided = read_decisions(old) or {}
        found = len(decided)
        carried = _carried(old, run, decided)
    except LossrankError as error:
        why = shorten(str(error), _ROOM)
        return f"the decisions in {place} could not carry over ({why}); give the same command again to try it again"
    with contextlib.closing(open_to_write(run)) as db, reporting(run.path / FILE), transaction(db):
        values = [
            (new.row, new.verdict, new.label, new.annotator, new.source, new.decided_at, new.decided_at)
            for new in carried
        ]
        db.executemany(
            "INSERT INTO decisions (row, verdict, label, annotator, source, decided_at, said_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            values,
        )
        db.execute("INSERT INTO about VALUES (?, ?)", (_CARRIED, str(place)))
    left = found - len(carried)
    lost = f", {left:,} not, because their texts have changed, or the text or class is gone" if left else ""
    return f"{len(carried):,} of {found:,} decisions carried over from {place}{lost}; the earlier run stays there"


def _to_carry(run: RunDirectory) -> Path | None:
    """Return the run whose decisions are still to carry over."""
    place = run.manifest.replaces
    if place is None:
        return None
    if (run.path / FILE).is_file():
        with contextlib.closing(open_to_write(run)) as db, reporting(run.path / FILE):
            if db.execute("SELECT value FROM about WHERE key = ?", (_CARRIED,)).fetchone():
                return None
    return Path(place)


def _carried(old: RunDirectory, run: RunDirectory, decided: dict[int, Decision]) -> list[Decision]:
    """Return the decisions on the rows of ``run`` that have the texts of rows of ``old``."""
    rows = _same_texts(old, run, list(decided))
    before, now = given_labels(old, list(rows)), given_labels(run, list(rows.values()))
    carried = (_on_row(decided[row], here, before[row], now[here], run) for row, here in rows.items())
    return sorted((one for one in carried if one is not None), key=lambda one: one.number)


def _on_row(decision: Decision, row: int, before: str | None, now: str | None, run: RunDirectory) -> Decision | None:
    """Return a decision on a row whose label was ``before`` and is ``now``; None if it says no class of the run."""
    if decision.verdict == DISCARDED:
        return replace(decision, row=row)
    label = before if decision.verdict == KEPT else decision.label
    if label is None:
        return replace(decision, row=row) if now is None else None
    if (label := class_named(label, run.class_names)) is None:
        return None
    same = label == now
    return replace(decision, row=row, verdict=KEPT if same else RELABELLED, label=None if same else label)


def _same_texts(old: RunDirectory, run: RunDirectory, decided: list[int]) -> dict[int, int]:
    """Map decided rows of ``old`` to the rows of ``run`` with the same text.

    A row is found by its id, if it has one in both runs; else by its text, if that occurs once in each run, or if it is
    in the same row as before.
    """
    wanted = set(decided)
    hashes: dict[int, bytes] = {}
    ids: dict[str, int] = {}
    before, now = Counter[bytes](), Counter[bytes]()
    for row, key, text in _texts(old):
        before[text] += 1
        if row in wanted:
            hashes[row] = text
            if key is not None and run.columns.id is not None:
                ids[key] = row
    by_id: dict[int, list[tuple[int, bytes]]] = {}
    by_text: dict[bytes, int] = {}
    in_place: set[int] = set()
    texts = set(hashes.values())
    for row, key, text in _texts(run):
        if key in ids:
            by_id.setdefault(ids[key], []).append((row, text))
        if text in texts:
            now[text] += 1
            by_text[text] = row
        if hashes.get(row) == text:
            in_place.add(row)
    found: dict[int, int] = {}
    with_id = set(ids.values())
    for row, text in hashes.items():
        if row in with_id:
            same = [there for there, other in by_id.get(row, ()) if other == text]
            if len(same) == 1 and len(by_id[row]) == 1:
                found[row] = same[0]
        elif before[text] == now[text] == 1:
            found[row] = by_text[text]
        elif row in in_place:
            found[row] = row
    return found


def _texts(run: RunDirectory) -> Iterator[tuple[int, str | None, bytes]]:
    """Yield each row's number, id and the hash of its text; of a run without hashes, the data is read.

    Raises:
        SourceError: the run has no hashes, and its data is gone or has changed.
    """
    if "text_hash" in run.schema.names:
        for batch in run.batches(["row", "id", "text_hash"]):
            yield from zip(*(batch[name].to_pylist() for name in ("row", "id", "text_hash")), strict=True)
        return
    source, columns = reopen_data(run), run.columns
    names = [name for name in (columns.text, columns.text_pair) if name is not None]
    texts = (text_hashes(batch, columns.text, columns.text_pair).to_pylist() for batch in source.read(names))
    keys = (batch["id"].to_pylist() for batch in run.batches(["id"]))
    for row, (key, text) in enumerate(zip(chain.from_iterable(keys), chain.from_iterable(texts), strict=True)):
        yield row, key, text
