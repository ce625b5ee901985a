"""verify(): check that a run agrees with its manifest, and that its bundle and data have not changed since scoring.

Memory holds one batch of a shard, however many rows the run has.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from scorer.data.source import Data
from scorer.data.spec import Spec, TableSpec
from scorer.errors import BundleError, NotThereError, RunError, SourceError, UnreachableError
from scorer.files import file_sha256
from scorer.layout import MANIFEST
from scorer.model.bundle import ModelBundle
from scorer.pipeline.screen import screen_again
from scorer.pipeline.summary import OF_THE_PROCESS, recount
from scorer.run.directory import RunDirectory
from scorer.run.integrity import (
    ABSENT,
    OK,
    UNFINISHED,
    WRONG,
    Finding,
    check_shards,
    counts_in_words,
    refuse_writer,
)
from scorer.run.manifest import RunStats
from scorer.run.reopened import refuse_columns, refuse_edited, reopen_data
from scorer.run.shard_file import RESCORE
from scorer.text import some


@dataclass(frozen=True)
class Verification:
    """The findings of ``verify``, and the run's summary from its manifest, None if the run is not finished.

    Each finding says ``what`` was checked, its ``state`` (``ok``, ``wrong``, ``unfinished`` or ``absent``), and what
    was found.
    """

    run: str
    findings: tuple[Finding, ...]
    summary: RunStats | None

    @property
    def sound(self) -> bool:
        """Whether no finding is wrong; the run may be unfinished."""
        return all(finding.state != WRONG for finding in self.findings)

    @property
    def complete(self) -> bool:
        """Whether no finding is wrong and every row is scored."""
        return all(finding.state in (OK, ABSENT) for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ``sound`` and ``complete`` as plain values for JSON."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return {**found, "sound": self.sound, "complete": self.complete}


def verify(
    run: RunDirectory | str | Path, *, bundle: str | Path | None = None, data: Data | None = None
) -> Verification:
    """Compare a run, finished or not, with its manifest, its bundle and its data; nothing is written.

    ``bundle`` and ``data`` tell where the bundle and the data are now, if they have moved. If they are not there, the
    finding is ``wrong``; if they are missing from the recorded place or can't be reached, it is only ``absent``. The
    manifest is read from disk, also if ``run`` is a ``RunDirectory``.

    Raises:
        RunError: the folder is not a run directory.
        RunError: the manifest is damaged or of another format.
        RunError: a process is writing the run.
        RunError: ``bundle`` is given, but the run was made of imported probabilities.
    """
    path = run.path if isinstance(run, RunDirectory) else Path(run)
    # The lock is checked before the manifest is read: if the lock is free, the last writer's manifest is on disk.
    refuse_writer(path)
    run = RunDirectory.read(path)
    of_bundle, run = _bundle(run, bundle)
    findings = check_shards(run)
    if not run.missing_shards():
        whole = all(finding.state == OK for finding in findings)
        findings += [*_screen(run, whole), *_summary(run, whole)]
    findings += [*of_bundle, *_data(run, data)]
    refuse_writer(path)
    return Verification(str(path), tuple(findings), run.manifest.summary)


def _summary(run: RunDirectory, whole: bool) -> Iterable[Finding]:
    """If the shards are whole, compare the summary with them, except values of the process that wrote the summary."""
    if (summary := run.manifest.summary) is None:
        yield Finding("summary", UNFINISHED, "is not written yet; score again with the same arguments to write it")
    elif whole:
        stats = recount(run, summary)
        recorded, found = summary.to_dict(), stats.to_dict()
        wrong = [name for name in found if name not in OF_THE_PROCESS and not _same(recorded[name], found[name])]
        if wrong:
            says = "; ".join(_difference(name, recorded[name], found[name]) for name in wrong)
            yield Finding("summary", WRONG, f"{says}; score again with the same arguments to count it again")
        else:
            yield Finding("summary", OK, f"agrees with the shards: {counts_in_words(stats.by_status)}")


def _screen(run: RunDirectory, whole: bool) -> Iterable[Finding]:
    """Check that a screen is finished, and compare its report with the shards, if they are whole."""
    if not run.is_screen:
        return
    if run.manifest.screen is None:
        says = "the worst rows are not rescored in fp32 yet; score again with the same arguments to go on"
        yield Finding("screen", UNFINISHED, says)
    elif whole:
        recorded, found = run.manifest.screen.to_dict(), screen_again(run).to_dict()
        if _same(recorded, found):
            yield Finding("screen", OK, f"finished: {run.manifest.screen.rescored:,} rows were rescored in fp32")
        else:
            says = f"{_difference('screen', recorded, found)}; remove 'screen' from {MANIFEST}, then {RESCORE}"
            yield Finding("screen", WRONG, says)


def _difference(name: str, recorded: Any, found: Any) -> str:
    """Return a clause for each recorded value, also within objects, that differs from what the shards give."""
    if isinstance(recorded, dict) and isinstance(found, dict):
        differing = [key for key in {**recorded, **found} if not _same(recorded.get(key), found.get(key))]
        return "; ".join(_difference(f"{name} {key}", recorded.get(key), found.get(key)) for key in differing)
    return f"{name} is {_or_none(recorded)}, but the shards give {_or_none(found)}"


def _or_none(value: Any) -> Any:
    return "none" if value is None else value


def _same(recorded: Any, found: Any) -> bool:
    """Return whether two JSON values are equal; floats may differ in the last digits, as they do between machines."""
    if isinstance(recorded, dict) and isinstance(found, dict):
        return recorded.keys() == found.keys() and all(_same(recorded[key], found[key]) for key in recorded)
    if isinstance(recorded, float) and isinstance(found, float):
        return math.isclose(recorded, found, rel_tol=1e-6, abs_tol=1e-9)
    return bool(recorded == found) and isinstance(recorded, bool) == isinstance(found, bool)


def _bundle(run: RunDirectory, moved: str | Path | None) -> tuple[list[Finding], RunDirectory]:
    """Return findings about the bundle, and the run, with the bundle's class names if that bundle scored the run."""
    recorded = run.manifest.bundle
    if recorded is None:
        return _imported(run, moved), run
    place = Path(recorded.path if moved is None else moved)
    if moved is None and not place.exists():
        says = f"{place} does not exist any more; if the bundle has moved, pass its folder as `bundle`"
        return [Finding("bundle", ABSENT, says)], run
    try:
        found = ModelBundle.load(place)
    except BundleError as error:
        return [Finding("bundle", WRONG, str(error))], run
    if found.sha256 != recorded.sha256:
        says = f"{place} is another bundle: its SHA-256 is {found.sha256[:12]}..., not {recorded.sha256[:12]}..."
        return [Finding("bundle", WRONG, says)], run
    findings = [Finding("bundle", OK, f"{place} is the bundle that was used")]
    if found.class_names != run.class_names:
        named, right = (some(names) for names in (run.class_names, found.class_names))
        says = f"{MANIFEST} names the classes {named}, but the bundle has {right}; {RESCORE}"
        findings.append(Finding("classes", WRONG, says))
        run = run.with_class_names(found.class_names)
    return findings, run


def _imported(run: RunDirectory, bundle: str | Path | None) -> list[Finding]:
    """Return findings about the probabilities of which the run was made, which has no bundle."""
    if bundle is not None:
        raise RunError(f"{run.path} was made of imported probabilities and has no bundle; leave `bundle` out")
    recorded = run.manifest.origin
    what = "probabilities"
    if recorded.path is None:
        return [Finding(what, ABSENT, "were in memory, and can't be compared")]
    place = Path(recorded.path)
    if not place.is_file():
        return [Finding(what, ABSENT, f"{place} does not exist any more; the run has kept its numbers")]
    try:
        found = file_sha256(place)
    except OSError as error:
        return [Finding(what, ABSENT, f"{place} can't be read ({error.strerror})")]
    if found != recorded.sha256:
        says = f"{place} has changed: its SHA-256 is {found[:12]}..., not {recorded.sha256[:12]}..."
        return [Finding(what, WRONG, says)]
    return [Finding(what, OK, f"{place} is the file that was imported")]


def _data(run: RunDirectory, moved: Data | None) -> Iterable[Finding]:
    spec = run.manifest.data.spec
    if moved is None and isinstance(spec, TableSpec):
        yield Finding(
            "data", ABSENT, "was in memory; to compare it, pass it, or a file with the same rows, with `data`"
        )
        return
    try:
        source = reopen_data(run, moved)
    except (NotThereError, UnreachableError) as error:
        yield _unseen(spec, error) if moved is None else Finding("data", WRONG, str(error))
    except SourceError as error:
        yield Finding("data", WRONG, str(error))
    else:
        yield Finding("data", OK, f"{source.name} is what was scored")
        try:
            refuse_columns(run, source)
        except RunError as error:
            yield Finding("columns", WRONG, str(error))


def _unseen(spec: Spec, error: SourceError) -> Finding:
    """Return a finding: the data is gone or out of reach, or one of its files that can be reached has changed."""
    try:
        refuse_edited(spec)
    except SourceError as edited:
        return Finding("data", WRONG, str(edited))
    return Finding("data", ABSENT, f"can't be compared: {error}" if isinstance(error, UnreachableError) else str(error))
