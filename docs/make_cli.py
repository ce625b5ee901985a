"""Write docs/cli.md from the help of the commands: python docs/make_cli.py."""

from pathlib import Path
from typing import Any

import click

from cli.commands import COMMANDS, load_command
from cli.exit_codes import EXIT_CODES
from cli.main import run
from scorer.audit.gates import NUMBERS
from scorer.run.schema import STATUSES

TARGET = Path(__file__).parent / "cli.md"

_JSON = """## JSON

With `--json`, stdout holds one JSON document and stderr everything else. The exit code says how the command ended. The
document is also printed if `verify` finds the run wrong or unfinished (exit code 1), if the run fails a gate, and if a
review tool refused rows or `pull` left some out (exit code 3). If an error ends the command without a result, stdout is
empty. `failed_gates` lists a line for each failed `--fail-if`, whatever the exit code; it is null if the run has no
summary yet. The other keys are the fields of what the command's function returns; [python.md](python.md) gives their
meaning.

| command | document |
|---|---|
| `score` | [RunStats](python.md#runstats), and `run`, `rows_per_second` (null if nothing was left to score), \
`failed_gates` |
| `rank` | `run`, `by`, `count`, `output`, and `rows`: a list of [RankedRow](python.md#rankedrow), each with \
`given_name`, `predicted_name` and its `source` columns; null with `-o` |
| `review` | when it is stopped: `run`, `rows` (on the page), and the run's number of rows that are `kept`, \
`relabelled`, `discarded` |
| `report` | `run`, `output`, `format`, `bytes`, `rows`, `mean_loss`, `accuracy`, `by`, `count` (ranked rows); \
[report.md](report.md) describes the report itself as JSON |
| `log` | `run`, `rows`, `to`, `written`, `already_there`, `refused` (`row`, `reason`), `url`; `output` and `advice` |
| `pull` | [Pulled](python.md#pulled) |
| `export` | [ModelBundle](python.md#modelbundle), and `sha256`, `seconds`, `steps` (a list of `doing` and `seconds`) |
| `demo` | the keys of `score`, and `worst`: rows as in `rank` |
| `apply` | `run`, `rows`, `by_status`, `written`, `changed` (relabelled and discarded rows), \
`moves` (`[given, new, count]`, most frequent first), `output`, `diff`, `url`, `notes` |
| `diff` | [Comparison](python.md#comparison), and `output` |
| `status` | [RunStatus](python.md#runstatus-1), and `failed_gates` |
| `verify` | [Verification](python.md#verification), and `sound` (nothing is wrong), `complete` (sound and finished), \
`failed_gates` |
| `bench` | [BenchResult](python.md#benchresult), and `roofline_share` |

Columns of the data are written to JSON, JSON lines and CSV as follows. Dates and times are in ISO 8601; those with a
time zone are in UTC and end in `Z`; a date beyond the calendar's range stays the data's own number. Durations look like
`PT1.5S`, bytes are in base64, and NaN and infinities are null (in CSV: `nan`, `inf`). Lists and structs are JSON in a
CSV cell. Parquet keeps the types. If the format can't hold a column's type, the error names the column.

## Log files

`--log-file FILE` appends one JSON object per line: `time` (UTC), `level`, `event` and the event's fields. It never
holds a text or a label of the data.

| event | command and fields |
|---|---|
| `start` | `score`, `export`, `log`, `pull`: the main arguments, `pid` |
| `plan` | `score`: columns, device, precision, batches |
| `shard written` | `score`: `file`, `first_row`, `rows`, `again` (true if its worst rows were scored again in fp32) |
| `progress` | `score`, every 30 s: `done`, `left`, `rows_per_second`, `seconds` |
| `rescoring` | `score --precision screen`: the first rows have been scored again in fp32 |
| `step` | `export`: the step, in `doing` |
| `end` | all four: the summary |
| `interrupted` | all four: stopped by Ctrl-C, SIGTERM or SIGHUP |
| `error` | all four: `kind` and `message`; a message that may quote the data is printed on stderr only |
"""


def reference() -> str:
    """Return the whole page: the help of the group and of every command."""
    settings: dict[str, Any] = {**run.context_settings, "max_content_width": 100, "terminal_width": 100}
    context = click.Context(run, info_name="lossrank", **settings)
    parts = [
        "# Commands\n\nThis page is made from `lossrank --help` by `make docs`; don't edit it.\n",
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
        "## Gates\n\n`--fail-if 'NAME OP NUMBER'` compares a number of the finished run's summary. OP is one of "
        "`<` `<=` `>` `>=` `==` `!=`; NUMBER is in decimal notation, such as `-0.5` or `1e-3`. The command fails if "
        "the comparison is true or if the run lacks the number: there is no `mean_loss` or `accuracy` if no row has a "
        "loss, and no `rows_per_second` if nothing was left to score.\n\n"
        f"| name | unit |\n|---|---|\n{units}| {shares} | share of the rows with that status, 0..1 |\n"
    )
    parts.append(_JSON)
    return "\n".join(parts)


def _block(title: str, command: click.Command, context: click.Context) -> str:
    return f"## {title}\n\n```text\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
