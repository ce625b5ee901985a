"""Write docs/cli.md from the commands themselves: python docs/make_cli.py."""

from pathlib import Path
from typing import Any

import click

from cli.exit_codes import EXIT_CODES
from cli.main import COMMANDS, load_command, run
from scorer.audit.gates import NUMBERS
from scorer.run.schema import STATUSES

TARGET = Path(__file__).parent / "cli.md"

_JSON = """## JSON

With `--json`, stdout is one JSON document and stderr has the rest. The exit code says how it ended, and there is a
document whenever there is something to tell: also of a run that `verify` finds wrong or unfinished (exit code 1), of
one that fails a gate, and of rows that a review tool refused or `pull` left out (3). Where an error left nothing to
tell, stdout is empty. `failed_gates` has a line for each `--fail-if` that failed, whatever the exit code, and is null
where the run has no summary yet. The other keys are those of the Python dataclasses, whose docstrings say what they
mean.

| command | document |
|---|---|
| `score` | `scorer.RunStats`, and `run`, `rows_per_second` (null if nothing was left to score), `failed_gates` |
| `rank` | `run`, `by`, `count`, `output`, and `rows`: each `scorer.RankedRow` with `given_name`, `predicted_name` and \
its `source` columns; null with `-o` |
| `review` | at its end: `run`, `rows`, and how many of the run's are `kept`, `relabelled`, `discarded` |
| `report` | `run`, `output`, `format`, `bytes`, `rows`, `mean_loss`, `accuracy`, `by`, `count` (ranked rows); \
the report itself as JSON is in [report.md](report.md) |
| `log` | `run`, `rows`, `to`, `written`, `already_there`, `refused` (`row`, `reason`), `url`; `output` and `advice` |
| `pull` | `lossrank.review.pull.Pulled` |
| `export` | `scorer.ModelBundle`, and `sha256`, `seconds` |
| `demo` | as `score`, and `worst`: rows as `rank` has them |
| `apply` | `run`, `rows`, `by_status`, `written`, `output`, `diff`, `url`, `notes` |
| `diff` | `lossrank.review.compare.Comparison`, and `output` |
| `status` | `scorer.RunStatus`, and `failed_gates` |
| `verify` | `scorer.Verification`, and `sound` (nothing is wrong), `complete` (and nothing unfinished), \
`failed_gates` |
| `bench` | `scorer.bench.bench.BenchResult`, and `roofline_share` |

In JSON, JSON lines and CSV a column of the data has dates and times in ISO 8601 (with a zone: in UTC, `Z`; where no
calendar goes that far: the data's own number), durations as `PT1.5S`, bytes in base64 and numbers that are none as null
(CSV: `nan`, `inf`); lists and the like are JSON in a CSV cell. Parquet keeps the types. A column of a type that the
format can't hold is named.

## Log files

`--log-file FILE` appends one JSON object a line: `time` (UTC), `level`, `event` and the event's fields; never a text or
a label of the data.

| event | of |
|---|---|
| `start` | `score`, `export`, `log`, `pull`: what was asked for, `pid` |
| `plan` | `score`: columns, device, precision, batches |
| `shard written` | `score`: `file`, `first_row`, `rows`, `again` (its worst rows in fp32) |
| `progress` | `score`, every 30 s: `done`, `left`, `rows_per_second`, `seconds` |
| `rescoring` | `score --precision screen`: the first rows are in fp32 |
| `step` | `export`: what it is `doing` |
| `end` | the summary |
| `interrupted` | Ctrl-C, SIGTERM or SIGHUP |
| `error` | `kind` and `message`, which is left to the screen where it may quote the data |
"""


def reference() -> str:
    """Return the whole page: the group's help and every command's."""
    settings: dict[str, Any] = {**run.context_settings, "max_content_width": 100, "terminal_width": 100}
    context = click.Context(run, info_name="lossrank", **settings)
    parts = [
        "# Commands\n\nMade from `lossrank --help` by `make docs`; don't edit.\n",
        _block("lossrank", run, context),
    ]
    for name in COMMANDS:
        command = load_command(name)
        child = click.Context(command, info_name=name, parent=context, **settings)
        parts.append(_block(f"lossrank {name}", command, child))
    codes = "".join(f"| {code} | {meaning} |\n" for code, meaning in EXIT_CODES.items())
    parts.append(f"## Exit codes\n\n| code | meaning |\n|---|---|\n{codes}")
    units = "".join(f"| `{name}` | {unit} |\n" for name, unit in NUMBERS.items())
    shares = ", ".join(f"`{name}`" for name in STATUSES)
    parts.append(
        "## Gates\n\n`--fail-if 'NAME OP NUMBER'` compares a number of the finished run's summary; OP is one of "
        "`<` `<=` `>` `>=` `==` `!=`, and NUMBER is in decimal notation, such as `-0.5` or `1e-3`. The command fails "
        "if it holds, or if the run has no such number: no `mean_loss` or `accuracy` where no row has a loss, no "
        "`rows_per_second` where the process had nothing left to score.\n\n"
        f"| name | unit |\n|---|---|\n{units}| {shares} | share of the rows with that status, 0..1 |\n"
    )
    parts.append(_JSON)
    return "\n".join(parts)


def _block(title: str, command: click.Command, context: click.Context) -> str:
    return f"## {title}\n\n```text\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
