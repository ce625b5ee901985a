"""log(): send the worst rows to a review server, or write them to a file for review."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lossrank.errors import ArgumentError
from lossrank.progress import OnStep, Step, unwatched
from lossrank.review.files.kinds import FILES
from lossrank.review.records import Refusal, ReviewRecord, build_records
from lossrank.review.servers.server import TOOLS, Form, Sending, Server, waiting
from lossrank.review.store import DecisionStore
from lossrank.tables.ranking import precision_note
from scorer.audit.rank import join_source, rank
from scorer.data.source import Data
from scorer.run.directory import RunDirectory
from scorer.run.protect import refuse_existing, refuse_own_data


@dataclass(frozen=True)
class Logged:
    """The result of ``log``.

    ``rows`` is the number of ranked rows. ``written`` of them were written to the file ``output`` or stored in the data
    set at ``url``; ``already_there`` of them were in the data set before and stay unchanged. ``refused`` lists the rows
    that were left out, with reasons. ``sort`` says how to see the worst rows first at ``url``, and ``advice`` says how
    to use the file.
    """

    run: str
    rows: int
    to: str
    written: int = 0
    already_there: int = 0
    refused: list[Refusal] = field(default_factory=list)
    url: str | None = None
    sort: str | None = None
    output: str | None = None
    advice: str | None = None


def log(
    run: RunDirectory | str | Path,
    *,
    to: str = "rubrix",
    name: str | None = None,
    output: str | Path | None = None,
    top: int | None = None,
    by: str = "loss",
    per_class: int | None = None,
    pair: tuple[str, str] | str | None = None,
    data: Data | None = None,
    url: str | None = None,
    api_key: str | None = None,
    workspace: str | None = None,
    chunk_size: int = 500,
    force: bool = False,
    progress: OnStep = unwatched,
) -> Logged:
    """Send the worst rows of a run to a review server, or write them to a file for review.

    Records that are already on the server stay unchanged; logging again adds the missing records.

    Args:
        run: a finished run, or its directory.
        to: the review tool (``rubrix``, ``argilla``, ``label-studio``) or the kind of file.
        name: the data set on the server, created if it is missing; for Label Studio, the project's title.
        output: the file to write; give either ``output`` or ``name``.
        top, by, per_class, pair: which rows to log, as in ``scorer.rank``; ``top`` is 500 by default.
        data: where the scored data is now, if it has moved; or the same rows as another kind of data.
        url, api_key, workspace: the server and the account; by default from the tool's environment variables, else
            the values of a fresh installation.
        chunk_size: the number of records per request.
        force: replace ``output`` if it exists.
        progress: called with the number of rows stored or refused so far, and with notes, such as refused rows.

    Raises:
        ArgumentError: ``name`` and ``output`` are both given, or neither is.
        ArgumentError: ``name`` is given but ``to`` is not a server, or ``output`` is given but ``to`` is not a kind of
            file.
        ArgumentError: ``chunk_size`` is below 1.
        RunError: the run is not finished, or no row fits ``by``, ``per_class`` and ``pair``.
        RunError: ``output`` can't be written.
        RunError: the server needs an API key, and none was found.
        SourceError: the data is missing or has changed.
        ReviewError: the server can't be used, or fails on the way; records that it has stored stay there.
    """
    check_arguments(to, name, output, chunk_size)
    sink: Path | Server
    if output is not None:
        sink = Path(output)
        refuse_existing(sink, force)
    else:
        account = TOOLS[to].account(url, api_key, workspace)
        sink = TOOLS[to].connect(account, lambda why, seconds: progress(Step(note=waiting(why, seconds))))
        sink.check_name(str(name))
    run = run if isinstance(run, RunDirectory) else RunDirectory.open(run)
    if isinstance(sink, Path):
        refuse_own_data(sink, run, data)
    ranked = rank(run, top, by=by, per_class=per_class, pair=pair)
    if note := precision_note(run, ranked):
        progress(Step(note=note))
    built, textless = build_records(run, ranked, join_source(run, ranked, data, scored_only=True))
    records, unfit = (FILES[to] if isinstance(sink, Path) else sink).accept(built)
    refused = [*textless, *unfit]
    _report_refused(refused, progress)
    done = Logged(str(run.path), len(ranked), to, refused=refused)
    if isinstance(sink, Path):
        advice = FILES[to].advice(_form(run, records))
        FILES[to].write(sink, records, force=force)
        return replace(done, written=len(records), output=str(sink), advice=advice)
    with sink:
        with DecisionStore(run) as store:  # opened first, so that nothing is logged if the run can't remember where
            dataset = sink.open(str(name), _form(run, records))
            store.add_dataset(dataset)
        sending = sink.sending(dataset, chunk_size, refused)
        _send(sending, records, progress)
        done = replace(done, url=sink.page(dataset), sort=sink.sort_hint(by))
    return replace(done, written=sending.logged, already_there=sending.already_there, refused=sending.refused)


def check_arguments(to: str, name: str | None, output: str | Path | None, chunk_size: int) -> None:
    """Check arguments of ``log`` without reading the run: ``name`` or ``output`` is given, as ``to`` requires.

    Raises:
        ArgumentError: ``name`` and ``output`` are both given, or neither is.
        ArgumentError: ``name`` is given but ``to`` is not a server, or ``output`` is given but ``to`` is not a kind of
            file.
        ArgumentError: ``chunk_size`` is below 1.
    """
    if (output is None) == (name is None) or to not in (FILES if name is None else TOOLS):
        ways = [("`name` and no `output`", to in TOOLS), ("`output` and no `name`", to in FILES)]
        takes = ", or ".join(way for way, fits in ways if fits)
        kinds = ", ".join(dict.fromkeys([*TOOLS, *FILES]))
        raise ArgumentError(f"`to={to!r}` takes {takes}" if takes else f"`to` is {to!r}; it must be one of: {kinds}")
    if chunk_size < 1:
        raise ArgumentError(f"`chunk_size` is {chunk_size}; it must be at least 1")


def _send(sending: Sending, records: list[ReviewRecord], progress: OnStep) -> None:
    """Send records and report each chunk and each refused record; if an error stops the sending, report the counts."""
    reported, done = len(sending.refused), 0
    progress(Step(0, len(records)))
    try:
        for settled in sending.log(records):
            done += settled
            progress(Step(done, len(records)))
            _report_refused(sending.refused[reported:], progress)
            reported = len(sending.refused)
    except BaseException:
        _report_refused(sending.refused[reported:], progress)
        counts = f"{sending.logged:,} logged, {sending.already_there:,} already there, {len(sending.refused):,} refused"
        progress(Step(note=f"{counts} before logging stopped; to continue, log again with the same arguments"))
        raise


def _report_refused(refused: Sequence[Refusal], progress: OnStep) -> None:
    for refusal in refused:
        progress(Step(note=f"row {refusal.row} refused: {refusal.reason}"))


def _form(run: RunDirectory, records: list[ReviewRecord]) -> Form:
    return Form(run.class_names, tuple(dict.fromkeys(field for record in records for field in record.inputs)))
