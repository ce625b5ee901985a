"""verify(): check that a run agrees with its manifest, and that its bundle and data are still those that were scored.

Memory holds one batch of a shard, however many rows the run has.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from scorer.data.reopen import refuse_edited, reopen_source
from scorer.data.source import Data
from scorer.data.spec import Spec, TableSpec
from scorer.errors import BundleError, NotThereError, RunError, SourceError, UnreachableError
from scorer.layout import MANIFEST
from scorer.model.bundle import ModelBundle
from scorer.pipeline.screen import screen_again
from scorer.pipeline.summary import OF_THE_PROCESS, recount
from scorer.run.directory import RunDirectory, refuse_columns
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
from scorer.run.shard_file import RESCORE


@dataclass(frozen=True)
class Verification:
    """The findings of ``verify``; ``summary`` is the manifest's, None if the run is not finished."""

    run: str
    findings: tuple[Finding, ...]
    summary: RunStats | None

    @property
    def sound(self) -> bool:
        """Nothing is wrong with what is there, though it may not be all."""
        return all(finding.state != WRONG for finding in self.findings)

    @property
    def complete(self) -> bool:
        """Nothing is wrong and every row is there."""
        return all(finding.state in (OK, ABSENT) for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(self)
        return {**found, "sound": self.sound, "complete": self.complete}


def verify(
    run: RunDirectory | str | Path, *, bundle: str | Path | None = None, data: Data | None = None
) -> Verification:
    """Compare a run, finished or not, with its manifest, its bundle and its data; nothing is written.

    ``bundle`` and ``data`` are where these lie now, if they have moved: there they must be. Where the manifest says,
    they may be gone or out of reach. The manifest is read anew, whatever ``run`` holds of it.

    Raises:
        RunError: it is not a run directory, or it is being written.
    """
    path = run.path if isinstance(run, RunDirectory) else Path(run)
    # The lock first: what a process that has ended wrote is whole by the time that it is read.
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
    """Count the summary's numbers again, where the shards are whole, but for those of the process that wrote it."""
    if run.manifest.summary is None:
        yield Finding("summary", UNFINISHED, "is not written yet; score again with the same arguments to write it")
    elif whole and (stats := recount(run)) is not None:
        recorded, found = run.manifest.summary.as_dict(), stats.as_dict()
        wrong = [name for name in found if name not in OF_THE_PROCESS and not _same(recorded[name], found[name])]
        if wrong:
            says = "; ".join(_apart(name, recorded[name], found[name]) for name in wrong)
            yield Finding("summary", WRONG, f"{says}; score again with the same arguments to count it again")
        else:
            yield Finding("summary", OK, f"agrees with the shards: {counts_in_words(stats.by_status)}")


def _screen(run: RunDirectory, whole: bool) -> Iterable[Finding]:
    """Look whether a screen is finished, and whether its report is what the shards, if they are whole, give again."""
    if not run.is_screen:
        return
    if run.manifest.screen is None:
        says = "the worst rows are not rescored in fp32 yet; score again with the same arguments to go on"
        yield Finding("screen", UNFINISHED, says)
    elif whole:
        recorded, found = run.manifest.screen.as_dict(), screen_again(run).as_dict()
        if _same(recorded, found):
            yield Finding("screen", OK, f"finished: {run.manifest.screen.rescored:,} rows were rescored in fp32")
        else:
            says = f"{_apart('screen', recorded, found)}; remove 'screen' from {MANIFEST}, then {RESCORE}"
            yield Finding("screen", WRONG, says)


def _apart(name: str, said: Any, found: Any) -> str:
    """Say how a value of the manifest differs from what the shards give: of an object, in which of its values."""
    if isinstance(said, dict) and isinstance(found, dict):
        differing = [key for key in {**said, **found} if not _same(said.get(key), found.get(key))]
        return "; ".join(_apart(f"{name} {key}", said.get(key), found.get(key)) for key in differing)
    return f"{name} is {_or_none(said)}, the shards say {_or_none(found)}"


def _or_none(value: Any) -> Any:
    return "none" if value is None else value


def _same(one: Any, other: Any) -> bool:
    """Say whether two JSON values are the same, numbers but for the last digits, which differ between machines."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9)
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _bundle(run: RunDirectory, moved: str | Path | None) -> tuple[list[Finding], RunDirectory]:
    """Compare the bundle with the one that scored; return the run with the class names of that bundle too."""
    recorded = run.manifest.bundle
    place = Path(recorded.path if moved is None else moved)
    if moved is None and not place.exists():
        says = f"{place} is not there any more; name its new place with `bundle` to compare it"
        return [Finding("bundle", ABSENT, says)], run
    try:
        found = ModelBundle.load(place)
    except BundleError as error:
        return [Finding("bundle", WRONG, str(error))], run
    if found.sha256 != recorded.sha256:
        says = f"{place} is another one: SHA-256 {found.sha256[:12]}..., the run has {recorded.sha256[:12]}..."
        return [Finding("bundle", WRONG, says)], run
    findings = [Finding("bundle", OK, f"{place} is the one that was used")]
    if found.class_names != run.class_names:
        named, right = (", ".join(names) for names in (run.class_names, found.class_names))
        says = f"{MANIFEST} names {named}; the bundle that was used has {right}; {RESCORE}"
        findings.append(Finding("classes", WRONG, says))
        run = run.with_class_names(found.class_names)
    return findings, run


def _data(run: RunDirectory, moved: Data | None) -> Iterable[Finding]:
    spec = run.manifest.data.spec
    if moved is None and isinstance(spec, TableSpec):
        yield Finding("data", ABSENT, "was a table in memory; give it, or a file of it, as `data` to compare it")
        return
    try:
        source = reopen_source(spec, run.data_fingerprint, moved)
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
    """Say that data is gone or out of reach, unless a part of it that can be looked at is not what was scored."""
    try:
        refuse_edited(spec)
    except SourceError as edited:
        return Finding("data", WRONG, str(edited))
    return Finding("data", ABSENT, f"can't be compared: {error}" if isinstance(error, UnreachableError) else str(error))
