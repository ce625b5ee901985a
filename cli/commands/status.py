"""`lossrank status`."""

import time
from dataclasses import replace
from pathlib import Path

import click
import msgspec

from cli.gates import check_gates, fail_if_option, failed_gates
from cli.keywords import in_options
from cli.options import json_option
from cli.output import print_json
from lossrank import status as run_status
from scorer import RunError
from scorer.audit.gates import Gate
from scorer.run.history import UNKNOWN
from scorer.run.status import RUNNING, RunStatus
from scorer.text import duration, printable

_EVERY = 2.0  # seconds between two looks at the run
_KILLED = "was killed, or the machine stopped"


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--watch", is_flag=True, help="Look every 2 s and print each change, until no process works on the run.")
@fail_if_option
@json_option
def status(run: Path, watch: bool, fail_if: tuple[Gate, ...], as_json: bool) -> None:
    """Show the progress and speed of RUN, and which process works on it.

    Only reads the manifest and checks the lock, which does not disturb a running `lossrank score`. Progress is counted
    in the rows whose scores are kept.

    \b
    Examples:
      lossrank status run
      lossrank status run --watch
      lossrank status run --json
    """
    found = _in_options(run_status(run))
    shown = ""
    while watch and found.state == RUNNING:
        if (line := _line(found)) != shown:
            shown = line
            click.echo(line, err=True)
        time.sleep(_EVERY)
        found = _in_options(run_status(run))
    failed = failed_gates(fail_if, found.summary)
    if as_json:
        print_json({**found.to_dict(), "failed_gates": failed})
    else:
        _print(found)
    if fail_if and failed is None:
        raise RunError(f"{run} has no summary for --fail-if, because the run is not finished: {found.state}")
    check_gates(failed)


def _in_options(found: RunStatus) -> RunStatus:
    """Return the status with the command line's options in why each process ended."""
    history = [msgspec.structs.replace(entry, why=entry.why and in_options(entry.why)) for entry in found.history]
    return replace(found, why=found.why and in_options(found.why), history=history)


def _print(found: RunStatus) -> None:
    def say(what: str, value: str) -> None:
        click.echo(f"{what:<17}{printable(value)}")

    by = f", {found.doing} (pid {found.pid})" if found.doing else ""
    say("run", found.run)
    say("state", f"{found.state}{by}{_ended(found)}")
    say("rows", f"{found.done:,} of {found.rows:,} ({found.done / found.rows:.0%}); {found.left:,} left")
    say("shards", f"{found.shards_done:,} of {found.shards:,}")
    if found.rows_per_second is not None:
        say("speed", f"{found.rows_per_second:,.1f} rows/s")
    if found.seconds_left is not None:
        say("estimated end", f"{found.estimated_end}, in {duration(found.seconds_left)}")
    if found.updated is not None:
        say("last written", found.updated)
    for entry in found.history:
        why = entry.why or (RUNNING if found.state == RUNNING else UNKNOWN)
        ended = _KILLED if why == UNKNOWN else why
        say("  start", f"{entry.started}: {entry.rows:,} rows in {duration(entry.seconds)}, {ended}")
    if found.left and found.state != RUNNING:
        click.echo("\nTo resume, give the command that began the run again.")


def _ended(found: RunStatus) -> str:
    """Return how the last process ended, or "" if the state already says that."""
    if found.why is None or found.why == found.state:
        return ""
    if found.why != UNKNOWN:
        return f" ({found.why})"
    last = found.history[-1]
    return f": its process (pid {last.pid} on {last.host}) {_KILLED}"


def _line(found: RunStatus) -> str:
    speed = "" if found.rows_per_second is None else f"  {found.rows_per_second:,.1f} rows/s"
    left = "" if found.estimated_end is None else f"  ends about {found.estimated_end}"
    return f"{found.doing}: {found.done:,} of {found.rows:,} rows ({found.done / found.rows:.0%}){speed}{left}"
