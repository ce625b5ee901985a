"""Bring people's decisions back from a review tool or from its exported files."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lossrank.review.agree import Disagreement, is_verdict
from lossrank.review.decision import Answer, Place
from lossrank.review.files.kinds import FILES
from lossrank.review.other_run import RUN
from lossrank.review.servers.server import TOOLS, Account
from lossrank.review.store import DecisionStore
from scorer import RunDirectory, RunError
from scorer.address import without_secrets
from scorer.layout import is_run


@dataclass(frozen=True)
class Pulled:
    """What a pull brought: decisions by verdict, of which ``added`` are new and ``older`` don't hold.

    ``outdated`` counts the answers of an older copy of a file, of whose people later ones are known, which count.
    ``disagreements`` are the rows that the answers decide nothing of; of them ``open_rows`` have no decision, and the
    others keep theirs; of ``taken_back`` of them it is undone what the same people had decided.
    ``unknown_labels`` counts the answers with labels that the model has no class of, which decide nothing;
    ``foreign`` a file's records that are not of the run's data, or another run's kept rows whose label is no class,
    which are left out; ``withdrawn`` the rows whose decision was pulled before and is not there any more, which holds
    all the same; ``ahead`` the new decisions that are dated later than now, which count as made now.
    """

    run: str
    source: str
    answers: int
    kept: int
    relabelled: int
    discarded: int
    added: int
    older: int
    outdated: int
    disagreements: list[Disagreement]
    open_rows: list[int]
    taken_back: int
    unknown_labels: dict[str, int]
    foreign: int
    withdrawn: int
    ahead: int


def _kind(files: Sequence[Path], source: str | None) -> str:
    if source is not None:
        if source not in FILES:
            raise RunError(
                f"{source} has no file to pull; leave out {files[0]}, or say with --from: {', '.join(FILES)}"
            )
        return source
    if runs := [file for file in files if file.is_dir() and is_run(file)]:
        if len(files) > 1:
            raise RunError(f"{runs[0]} is a run; pull one run at a time, with no file beside it")
        return RUN
    kinds: dict[str, Path] = {}
    for file in files:
        kind = next((name for name, one in FILES.items() if file.suffix.lower() in one.endings), None)
        if kind is None:
            raise RunError(f"{file} says by no known ending what it is; say it with --from: {', '.join(FILES)}")
        kinds.setdefault(kind, file)
    if len(kinds) > 1:
        found = " and ".join(f"{file} is {kind}" for kind, file in kinds.items())
        raise RunError(f"{found}; pull files of one kind at a time, or say with --from what they are")
    return next(iter(kinds))


def _where(
    places: list[Place],
    source: str | None,
    name: str | None,
    url: str | None,
    api_key: str | None,
    workspace: str | None,
) -> tuple[Place, Account]:
    """Return where to pull from, and as whom: what was said, filled in with where rows were logged to last.

    Raises:
        RunError: too little was said, and nothing was logged; or there is no key.
    """
    fitting = [place for place in places if source in (None, place.tool) and name in (None, place.name)]
    known = next((place for place in fitting if url is None or _same(url, place)), None)
    latest = known or next(iter(fitting), None)
    tool = source or (latest.tool if latest else None)
    name = name or (latest.name if latest else None)
    if tool is None or name is None:
        raise RunError(
            "nothing of this run was logged"
            + (f" to {source}" if source else "")
            + "; say where the decisions are with --from and --name, or give a FILE"
        )
    if tool not in TOOLS:
        raise RunError(f"--from {tool} is a kind of file; give the FILE")
    account = TOOLS[tool].account(url, api_key, workspace)
    variable = f"{TOOLS[tool].variables}_API_URL"
    if known is not None and url is None and variable in os.environ and not _same(account.url, known):
        raise RunError(
            f"the rows were logged to {known.url}, and {variable} is {without_secrets(account.url)}; say with --url "
            "which of the two gets the key"
        )
    if known is not None:
        if not _same(account.url, known):  # else it is kept, for it may have the password, which no place has
            account = replace(account, url=known.url)
        account = replace(account, workspace=workspace or known.workspace)
    return Place(tool, without_secrets(account.url), account.workspace, name), account


def _same(url: str, place: Place) -> bool:
    return without_secrets(url).rstrip("/") == place.url


def _decided(store: DecisionStore, source: str) -> frozenset[int]:
    """Return the rows whose decision was pulled from a source."""
    return frozenset(row for row, decision in store.current().items() if decision.source == source)


def _word(answer: Answer) -> tuple[int, str, str | None]:
    return answer.row, answer.annotator, answer.label


def _strange(run: RunDirectory, answers: Iterable[Answer]) -> dict[str, int]:
    """Count the answers whose label is no class, by label."""
    return dict(Counter(str(one.label) for one in answers if not is_verdict(one, run.class_names)))
