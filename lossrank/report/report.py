"""report(): write the findings of a run to one file."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lossrank.errors import ArgumentError
from lossrank.progress import OnStep, Step, unwatched
from lossrank.report.document import Worst, report_document
from lossrank.report.markdown import markdown
from lossrank.review.store import read_decisions
from lossrank.tables.ranking import precision_note
from scorer.audit.rank import RankedRow, join_source, rank
from scorer.data.source import Data
from scorer.files import write_atomically
from scorer.run.directory import RunDirectory
from scorer.run.health import run_health
from scorer.run.protect import refuse_existing, refuse_own_data

TOP = 100  # default number of rows
FORMATS = ("html", "md", "json")
_ENDINGS = {".html": "html", ".htm": "html", ".md": "md", ".markdown": "md", ".json": "json"}


@dataclass(frozen=True)
class Report:
    """A report and its main numbers.

    ``content`` is the whole report as text, which the file ``output`` also contains unless ``output`` is None.
    ``bytes`` is the size of the content in UTF-8. ``rows`` is the number of rows of the run; the report lists the
    ``count`` worst of them by the measure ``by``. ``mean_loss`` is in nats; high is bad. ``accuracy`` is the share
    (0..1) of the given labels that the model predicts. Both are None for a run without labels.
    """

    run: str
    output: str | None
    format: str
    bytes: int
    rows: int
    mean_loss: float | None
    accuracy: float | None
    by: str
    count: int
    content: str

    def to_dict(self) -> dict[str, Any]:
        """Return all fields except ``content``."""
        return {name: value for name, value in asdict(self).items() if name != "content"}


def report(
    run: RunDirectory | str | Path,
    output: str | Path | None = None,
    *,
    format: str | None = None,
    top: int | None = None,
    by: str | None = None,
    per_class: int | None = None,
    pair: tuple[str, str] | str | None = None,
    data: Data | None = None,
    no_texts: bool = False,
    force: bool = False,
    progress: OnStep = unwatched,
) -> Report:
    """Return a report of a run's losses, confusions, classes, worst rows and decisions, and of how it was scored.

    Args:
        run: a finished run, or its directory.
        output: the file to write; without it, the report is only returned.
        format: ``html``, ``md`` or ``json``; by default, the extension of ``output`` determines the format.
        top, by, per_class, pair: which rows are listed, with the meanings they have in ``scorer.rank``. By default,
            ``top`` is 100, and ``by`` is ``loss``, or ``entropy`` for a run without labels.
        data: where the scored data is now, if it has moved; or the same rows as another kind of data.
        no_texts: leave out all content of the data except row numbers and ids.
        force: replace ``output`` if it exists.
        progress: called with a note if some of the listed numbers are not exact.

    Raises:
        ArgumentError: ``format`` is unknown, or it is missing and the extension of ``output`` doesn't determine it.
        ArgumentError: ``top`` or ``per_class`` is below 1.
        RunError: the run is not finished.
        RunError: ``output`` can't be written.
        RunError: no row has a value of the measure ``by``, or a class of ``pair`` doesn't exist.
        SourceError: the data is gone or has changed.
    """
    output = None if output is None else Path(output)
    format = _format(output, format)
    for name, count in (("top", top), ("per_class", per_class)):
        if count is not None and count < 1:
            raise ArgumentError(f"`{name}` is {count}; it must be at least 1")
    if output is not None:
        refuse_existing(output, force)
    run = run if isinstance(run, RunDirectory) else RunDirectory.open(run)
    if output is not None:
        refuse_own_data(output, run, data)
    health = run_health(run)
    by = by or ("loss" if health.scored else "entropy")
    ranked: list[RankedRow] = []
    if health.by_precision:  # else no row has predictions, and rank() would raise
        ranked = rank(run, TOP if top is None and per_class is None else top, by=by, per_class=per_class, pair=pair)
    source = None if no_texts else join_source(run, ranked, data)
    worst = Worst(ranked, source, by, per_class, pair if pair is None or isinstance(pair, str) else ":".join(pair))
    content = _render(report_document(run, health, worst, read_decisions(run) or {}), format)
    encoded = content.encode()
    if output is not None:
        write_atomically(output, lambda stream: stream.write(encoded))
    if note := precision_note(run, ranked):
        progress(Step(note=note))
    return Report(
        run=str(run.path),
        output=None if output is None else str(output),
        format=format,
        bytes=len(encoded),
        rows=health.rows,
        mean_loss=health.mean_loss,
        accuracy=health.accuracy,
        by=by,
        count=len(ranked),
        content=content,
    )


def _format(output: Path | None, format: str | None) -> str:
    """Return ``format``, or by default the format that the extension of ``output`` stands for.

    Raises:
        ArgumentError: ``format`` is None, and ``output`` is None or has an unknown extension.
        ArgumentError: ``format`` is unknown.
    """
    if format is None and output is not None:
        format = _ENDINGS.get(output.suffix.lower())
        if format is None:
            endings, formats = ", ".join(_ENDINGS), ", ".join(FORMATS)
            raise ArgumentError(f"`output` {output} must end in one of {endings}; or give `format`, one of {formats}")
    if format is None:
        raise ArgumentError(
            f"give `format`, one of {', '.join(FORMATS)}; or an `output` that ends in one of {', '.join(_ENDINGS)}"
        )
    if format not in FORMATS:
        raise ArgumentError(f"`format` is {format!r}; it must be one of {', '.join(FORMATS)}")
    return format


def _render(document: dict[str, object], format: str) -> str:
    if format == "md":
        return markdown(document)
    if format == "json":
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    from lossrank.report.html import html_page  # imported late, since the chart library loads slowly

    return html_page(document)
