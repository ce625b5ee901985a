"""pull(): bring people's decisions back from a review tool, from its exported files or from another run."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lossrank.progress import OnStep, Step, unwatched
from lossrank.results import Result
from lossrank.review.agree import Disagreement, agree, check_policy, is_verdict
from lossrank.review.decision import DISCARDED, KEPT, RELABELLED, Answer, Reading, ServerDataset, now_text
from lossrank.review.files.kinds import FILES, read_files
from lossrank.review.other_run import RUN, read_run
from lossrank.review.records import record_id
from lossrank.review.servers.server import TOOLS, Account, waiting
from lossrank.review.store import DecisionStore
from lossrank.tables.json_values import json_line
from scorer.address import without_secrets
from scorer.audit.given import given_labels
from scorer.data.source import Data, paths_of
from scorer.errors import RunError
from scorer.files import write_atomically
from scorer.layout import is_run
from scorer.run.directory import RunDirectory
from scorer.run.protect import refuse_existing, refuse_own_data


@dataclass(frozen=True)
class Pulled(Result):
    """The result of ``pull``.

    ``answers`` counts the answers read; ``kept``, ``relabelled`` and ``discarded`` count the rows that they decide.
    ``added`` counts the decisions that were not stored before; ``older`` of them are not in force, because their row
    has a later decision. ``outdated`` counts the answers in an old copy of a file that were ignored, because a later
    answer of the same person is known.

    ``disagreements`` are the rows on which the answers give no decision. ``open_rows`` are the ones among them without
    any decision; the others keep an earlier decision. ``taken_back`` counts the rows whose earlier decision was undone,
    because the people who made it now give no decision together.

    ``unknown_labels`` counts, by label, the answers whose label is not a class of the model; they decide nothing.
    ``foreign`` counts records that were left out: they name no row of the run's data, or come from another run and keep
    a label that is not a class. ``withdrawn`` counts the rows that an earlier pull decided and that have no answer in
    the source now; the earlier decision stays in force. ``ahead`` counts new decisions dated in the future, which are
    stored as made now.
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


def pull(
    run: RunDirectory | str | Path,
    files: Sequence[str | Path] = (),
    *,
    source: str | None = None,
    name: str | None = None,
    url: str | None = None,
    api_key: str | None = None,
    workspace: str | None = None,
    policy: str = "majority",
    disagreements: str | Path | None = None,
    force: bool = False,
    data: Data | None = None,
    progress: OnStep = unwatched,
) -> Pulled:
    """Bring people's decisions on a run's rows into the run.

    Args:
        run: a finished run, or its directory.
        files: exported files of one kind, or one other run over the same data; without files, a server is asked.
        source: the review tool or the kind of file; by default the tool that ``log`` sent rows to last, or the kind
            that the files' endings tell.
        name, url, workspace: the data set on the server; by default the one that ``log`` sent rows to last.
        api_key: the key for the server; by default from the tool's environment variable.
        policy: how several people's answers are combined: ``majority``, ``unanimous``, ``latest`` or ``user=NAME``.
        disagreements: a JSON lines file to write, with the undecided rows and each person's latest answer to them.
        force: replace ``disagreements`` if it exists.
        data: where ``run``'s data is now, if it has moved, or the same rows as another kind of data; allowed only if
            ``files`` is another run.
        progress: called with the number of answers read, and with notes.

    Raises:
        RunError: the run is not finished, or a file can't be read.
        RunError: ``policy`` is not valid, or names a person who gave no answer.
        RunError: the source is unknown, or there is no API key.
        RunError: ``data`` is given, but ``files`` is not another run.
        RunError: ``disagreements`` can't be written.
        SourceError: ``run``'s data must be compared with another run's data, but is missing or has changed.
        ReviewError: the server can't be used.
    """
    paths = [Path(file) for file in files]
    check_policy(policy)
    target = None if disagreements is None else Path(disagreements)
    if target is not None:
        refuse_existing(target, force)
        if target.resolve() in [file.resolve() for file in paths]:
            raise RunError(f"`disagreements` {target} is one of the pulled files; choose another name")
    if data is not None and not any(map(is_run, paths)):
        given = " ".join(["`data`", *(paths_of(data) or ())[:1]])
        raise RunError(f"{given} is used only to pull from another run; leave it out")
    run = run if isinstance(run, RunDirectory) else RunDirectory.open(run)
    if target is not None:
        refuse_own_data(target, run)
    with DecisionStore(run) as store:
        if paths:
            kind = _kind(paths, source)
            reading = read_run(paths[0], run, data) if kind == RUN else read_files(paths, kind, run)
        else:
            dataset, account = _where(store.datasets(), source, name, url, api_key, workspace)
            kind = dataset.tool
            reading = _read_server(run, dataset, account, _decided(store, kind), progress)
        done = _decide(run, store, reading, kind, policy)
    if target is not None:
        lines = [json_line(asdict(row)) + "\n" for row in done.disagreements]
        write_atomically(target, lambda stream: stream.write("".join(lines).encode()))
    return done


def _decide(run: RunDirectory, store: DecisionStore, reading: Reading, source: str, policy: str) -> Pulled:
    """Turn the answers from a source into decisions, store the decisions, and count them."""
    answers = reading.answers
    silent = {row for row, _ in reading.undecided} - {answer.row for answer in answers}
    withdrawn = _decided(store, source) & silent
    if source in FILES and not FILES[source].dated:
        answers = store.first_seen(answers, source, reading.undecided)
    outdated = len({_choice(answer) for answer in answers} - {_choice(answer) for answer in reading.answers})
    given = given_labels(run, sorted({answer.row for answer in answers}))
    decisions, disagreements = agree(answers, policy, given, run.class_names, source)
    rows = [*(decision.row for decision in decisions), *(disagreement.row for disagreement in disagreements)]
    settled: dict[int, list[Answer]] = {row: [] for row in rows}
    for answer in answers:
        if answer.row in settled:
            settled[answer.row].append(answer)
    added = store.add(decisions, settled, source)
    in_force = store.current()
    verdicts = Counter(decision.verdict for decision in decisions)
    return Pulled(
        run=str(run.path),
        source=source,
        answers=len(reading.answers),
        kept=verdicts[KEPT],
        relabelled=verdicts[RELABELLED],
        discarded=verdicts[DISCARDED],
        added=added.new,
        older=added.older,
        outdated=outdated,
        disagreements=disagreements,
        open_rows=[disagreement.row for disagreement in disagreements if disagreement.row not in in_force],
        taken_back=added.taken_back,
        unknown_labels=_unknown_labels(run, answers),
        foreign=reading.foreign,
        withdrawn=len(withdrawn),
        ahead=added.ahead,
    )


def _read_server(
    run: RunDirectory, dataset: ServerDataset, account: Account, decided: Iterable[int], progress: OnStep
) -> Reading:
    """Read the answers on a server.

    ``decided`` are the rows that earlier pulls decided; if the server has such a row without an answer now, the row is
    ``undecided`` in the result.
    """
    tool = TOOLS[dataset.tool]
    inside = f", workspace {dataset.workspace!r}" if dataset.workspace else ""
    progress(Step(note=f"pulling {dataset.name!r} from {tool.title} at {dataset.url}{inside}"))
    answers: list[Answer] = []
    with tool.connect(account, lambda why, time: progress(Step(note=waiting(why, time)))) as server:
        progress(Step())
        for answer in server.answers(dataset, run):
            answers.append(answer)
            progress(Step(len(answers)))
        silent = set(decided) - {answer.row for answer in answers}
        rows = {record_id(run.data_fingerprint, row): row for row in sorted(silent)}
        listed = server.listed(dataset, list(rows))
    return Reading(answers, 0, {(row, ""): now_text() for id, row in rows.items() if id in listed})


def _kind(files: Sequence[Path], source: str | None) -> str:
    """Return the kind of the files to pull: ``source`` if it is given, else the kind that their endings tell.

    Raises:
        RunError: ``source`` is not a kind of file.
        RunError: the files are of an unknown kind or of several kinds, or one of several files is a run.
    """
    if source is not None:
        if source not in FILES:
            raise RunError(
                f"`source` is {source!r}, which is not a kind of file; leave out {files[0]}, or set `source` to one "
                f"of: {', '.join(FILES)}"
            )
        return source
    if runs := [file for file in files if file.is_dir() and is_run(file)]:
        if len(files) > 1:
            raise RunError(f"{runs[0]} is a run; pull one run at a time, without other files")
        return RUN
    kinds: dict[str, Path] = {}
    for file in files:
        kind = next((name for name, known in FILES.items() if file.suffix.lower() in known.endings), None)
        if kind is None:
            raise RunError(f"{file} has no known ending; give its kind with `source`, one of: {', '.join(FILES)}")
        kinds.setdefault(kind, file)
    if len(kinds) > 1:
        found = " and ".join(f"{file} is {kind}" for kind, file in kinds.items())
        raise RunError(f"{found}; pull files of one kind at a time, or give their kind with `source`")
    return next(iter(kinds))


def _where(
    datasets: list[ServerDataset],
    source: str | None,
    name: str | None,
    url: str | None,
    api_key: str | None,
    workspace: str | None,
) -> tuple[ServerDataset, Account]:
    """Return the data set to pull from and the account.

    A value that is not given comes from the data set that rows were sent to last, or from the environment variables.

    Raises:
        RunError: the data set is not given, and no rows were sent to one.
        RunError: there is no API key.
        RunError: rows were sent to another address than the one in the environment variable.
    """
    fitting = [dataset for dataset in datasets if source in (None, dataset.tool) and name in (None, dataset.name)]
    known = next((dataset for dataset in fitting if url is None or _same(url, dataset)), None)
    latest = known or next(iter(fitting), None)
    tool = source or (latest.tool if latest else None)
    name = name or (latest.name if latest else None)
    if tool is None or name is None:
        raise RunError(
            f"no rows of this run were logged to {source or 'a server'}; give `source` and `name` to say where the "
            "decisions are, or `files`, the files that people filled in"
        )
    if tool not in TOOLS:
        raise RunError(f"`source={tool!r}` is a kind of file; give `files` too")
    account = TOOLS[tool].account(url, api_key, workspace)
    variable = f"{TOOLS[tool].variables}_API_URL"
    if known is not None and url is None and variable in os.environ and not _same(account.url, known):
        raise RunError(
            f"the rows were logged to {known.url}, but {variable} is {without_secrets(account.url)}; give as `url` "
            "the one of the two addresses that may get the key"
        )
    if known is not None:
        if not _same(account.url, known):  # an equal address is kept as given: it may have the password
            account = replace(account, url=known.url)
        account = replace(account, workspace=workspace or known.workspace)
    return ServerDataset(tool, without_secrets(account.url), account.workspace, name), account


def _same(url: str, dataset: ServerDataset) -> bool:
    return without_secrets(url).rstrip("/") == dataset.url


def _decided(store: DecisionStore, source: str) -> frozenset[int]:
    """Return the rows whose decision in force was pulled from a source."""
    return frozenset(row for row, decision in store.current().items() if decision.source == source)


def _choice(answer: Answer) -> tuple[int, str, str | None]:
    return answer.row, answer.annotator, answer.label


def _unknown_labels(run: RunDirectory, answers: Iterable[Answer]) -> dict[str, int]:
    """Count the answers whose label is not one class of the model, by label."""
    return dict(Counter(str(answer.label) for answer in answers if not is_verdict(answer, run.class_names)))
