"""`lossrank verify`."""

from dataclasses import replace
from pathlib import Path

import click

from cli.gates import check_gates, fail_if_option, failed_gates, gates_line
from cli.keywords import in_options
from cli.options import data_option, json_option
from cli.output import print_json
from lossrank import verify as verify_run
from scorer import RunError
from scorer.audit.gates import Gate
from scorer.run.integrity import ABSENT, OK
from scorer.text import printable


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--bundle", type=click.Path(path_type=Path), help="Where the bundle is now, if it has moved.")
@data_option
@fail_if_option
@json_option
def verify(
    run: Path, bundle: Path | None, data: tuple[str, ...] | None, fail_if: tuple[Gate, ...], as_json: bool
) -> None:
    """Check that RUN has every row of its data once and has not changed since scoring.

    Compares the shards with their hashes, their rows with the rows of the data, and the run's summary with a summary
    computed from the shards. If the bundle and the data can still be read, compares them with what was scored. Exits
    with 1 if anything is wrong or unfinished.

    \b
    Examples:
      lossrank verify run
      lossrank verify run --data /mnt/new-place/reviews.parquet
      lossrank verify run --fail-if 'no_text > 0.01' --json
    """
    verified = verify_run(run, bundle=bundle, data=data)
    shown = tuple(replace(finding, says=in_options(finding.says)) for finding in verified.findings)
    found = replace(verified, findings=shown)
    failed = failed_gates(fail_if, found.summary)
    if as_json:
        print_json({**found.to_dict(), "failed_gates": failed})
    else:
        for finding in found.findings:
            click.echo(f"{finding.state:<11}{finding.what:<20}{printable(finding.says)}")
    if not found.complete:
        if failed:
            click.echo(printable(gates_line(failed)), err=True)
        faults = [finding.what for finding in found.findings if finding.state not in (OK, ABSENT)]
        raise RunError(f"{run} {'is not finished' if found.sound else 'has changed since scoring'}: {_few(faults)}")
    check_gates(failed)


def _few(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
