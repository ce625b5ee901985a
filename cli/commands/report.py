"""`lossrank report`."""

import json
from pathlib import Path

import click
from click.core import ParameterSource

from cli.options import json_option, ranking_options
from cli.output import print_json, say_precision
from lossrank.report.document import Worst, report_document
from lossrank.report.markdown import markdown
from lossrank.review.store import read_decisions
from scorer import RankedRow, RunDirectory, join_source, rank
from scorer.files import write_atomically
from scorer.run.health import RunHealth, run_health
from scorer.run.protect import refuse_existing, refuse_own_data

_TOP = 100
_ENDINGS = {".html": "html", ".htm": "html", ".md": "md", ".markdown": "md", ".json": "json"}
FORMATS = ("html", "md", "json")


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File to write; Markdown and JSON go to stdout without it."
)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), help="What to write; default: what OUTPUT's name ends in."
)
@ranking_options(default_top=_TOP)
@click.option("--no-texts", is_flag=True, help="Leave out everything of the data but row numbers and ids.")
@click.option("--force", is_flag=True, help="Replace the output file if it is there.")
@json_option
def report(
    run: Path,
    output: Path | None,
    form: str | None,
    top: int | None,
    by: str,
    per_class: int | None,
    pair: str | None,
    data: tuple[str, ...],
    no_texts: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write what RUN found as one file to send to a colleague.

    Losses, confusions, classes, the worst rows, what was reviewed, and how it was run. The HTML file opens without a
    network; Markdown and JSON hold the same numbers. A run without labels has its rows ranked by entropy.

    \b
    Examples:
      lossrank report run -o report.html
      lossrank report run -o report.html --per-class 25 --no-texts
      lossrank report run --format md --top 20
      lossrank report run --format json > report.json
    """
    form = _format(output, form, as_json)
    if output is not None:
        refuse_existing(output, force)
    opened = RunDirectory.open(run)
    if output is not None:
        refuse_own_data(output, opened, data)
    health = run_health(opened)
    if not health.scored and click.get_current_context().get_parameter_source("by") == ParameterSource.DEFAULT:
        by = "entropy"
    ranked: list[RankedRow] = []
    if health.by_precision:  # else no row has predictions: there is nothing to rank
        ranked = rank(opened, top if top or per_class else _TOP, by=by, per_class=per_class, pair=pair)
    source = None if no_texts else join_source(opened, ranked, data or None)
    decisions = read_decisions(opened) or {}
    document = report_document(opened, health, Worst(ranked, source, by, per_class, pair), decisions)
    content = _write(document, form)
    if output is None:
        click.echo(content, nl=False)
    else:
        write_atomically(output, lambda stream: stream.write(content.encode()))
    say_precision(opened, ranked)
    if as_json:
        print_json(_summary(run, output, form, content, health, ranked, by))
    elif output is not None:
        click.echo(f"{len(ranked):,} of {health.rows:,} rows in {output} ({len(content.encode()) / 1000:,.0f} kB)")


def _format(output: Path | None, form: str | None, as_json: bool) -> str:
    """Return the format to write.

    Raises:
        UsageError: it is not said, or can't go to stdout.
    """
    if output is None and as_json:
        raise click.UsageError("--json prints a summary where the report would go: give -o FILE too, or --format json")
    if form is None and output is not None:
        form = _ENDINGS.get(output.suffix.lower())
        if form is None:
            raise click.UsageError(f"{output} must end in {', '.join(_ENDINGS)}, or say --format {'|'.join(FORMATS)}")
    if output is None and form in (None, "html"):
        raise click.UsageError("an HTML report goes to a file: give -o report.html (--format md and json need none)")
    return str(form)


def _write(document: dict[str, object], form: str) -> str:
    if form == "md":
        return markdown(document)
    if form == "json":
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    from lossrank.report.html import html_page  # only here: the charts' library takes a moment to load

    return html_page(document)


def _summary(
    run: Path, output: Path | None, form: str, content: str, health: RunHealth, ranked: list[RankedRow], by: str
) -> dict[str, object]:
    return {
        "run": str(run),
        "output": str(output),
        "format": form,
        "bytes": len(content.encode()),
        "rows": health.rows,
        "mean_loss": health.mean_loss,
        "accuracy": health.accuracy,
        "by": by,
        "count": len(ranked),
    }
