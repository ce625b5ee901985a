"""`lossrank bench`."""

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from cli.console import safe, stdout
from cli.options import json_option
from cli.output import print_json
from cli.settings import setting_options
from lossrank import Step
from lossrank import bench as bench_rows
from scorer.bench.bench import ROWS, BenchResult
from scorer.text import duration, printable

_ROOFLINE = "2 x weights x tokens / (seconds x peak); above 100% is possible, because lossrank leaves out work"


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("data", nargs=-1, required=True)
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=ROWS,
    show_default=True,
    help="Number of rows to sample from DATA at random.",
)
@setting_options(without=("id_column", "shard_rows", "on_error", "all_probs"))
@json_option
def bench(bundle: Path, data: tuple[str, ...], rows: int, as_json: bool, **settings: Any) -> None:
    """Measure how fast this machine scores rows of DATA with the model in BUNDLE, and what limits the speed.

    Scores a random sample of the rows as `lossrank score` would, but keeps no scores. The fp32 roofline compares the
    measured time with the time that all matrix products of the unpruned model would take at the best fp32 rate of the
    same cores: 2 x weights per token x tokens / (seconds x peak). A roofline above 100% is possible, because lossrank
    leaves out work that the unpruned model does.

    \b
    Examples:
      lossrank bench bundle reviews.parquet
      lossrank bench bundle ag_news --split test --rows 500
      lossrank bench bundle reviews.parquet --threads 1 --json > bench.json
      lossrank bench bundle reviews.parquet --rows 5000 --precision screen --screen-top 50
    """
    result = bench_rows(bundle, data, rows=rows, progress=_print_step, **settings)
    if as_json:
        print_json(result.to_dict())
    else:
        print_result(result)


def _print_step(step: Step) -> None:
    click.echo(printable(step.note or ""), err=True)


def print_result(result: BenchResult) -> None:
    """Print a result as a table: what was measured, how fast it was, and how close to the machine's limit."""
    hardware = result.hardware
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column()

    def add(what: str, value: str) -> None:
        table.add_row(what, safe(value))

    add("model", result.model)
    add("data", f"{result.rows:,} of {result.data_rows:,} rows of {result.data}")
    add("columns", ", ".join(f"{role} {name}" for role, name in result.columns.items() if name is not None))
    flags = f" ({' '.join(hardware['flags'])})" if hardware["flags"] else ""
    memory = "" if hardware["memory_bytes"] is None else f", {_bytes(hardware['memory_bytes'])}"
    add("machine", f"{hardware['cpu']}, {hardware['cores']} core(s) available{memory}{flags}")
    threads = f", {result.threads} thread(s)" if result.device == "cpu" else ""
    precision = result.options["precision"]
    add("device", f"{result.device}{threads}, {precision}, batches of {result.batch_tokens:,} tokens")
    add("versions", ", ".join(f"{name} {version}" for name, version in result.versions.items()))
    table.add_section()
    add("rows/s", f"{result.rows_per_second:,.1f}")
    add("tokens/s", f"{result.tokens_per_second:,.0f} (without padding)")
    add(
        "tokens",
        f"{result.tokens:,}; {result.truncated:,} texts were cut, {result.duplicates:,} were repeats",
    )
    add("padding", f"{result.padding:.2%} of the model's input")
    stages = ", ".join(f"{name} {_seconds(spent)}" for name, spent in result.seconds.items() if name != "total")
    add("time", f"{_seconds(result.seconds['total'])} ({stages})")
    add("in onnxruntime", f"{result.model_share:.1%} of the threads' time")
    add("peak memory", _bytes(result.peak_memory_bytes))
    table.add_section()
    if result.token_parameters is not None:
        add("weights per token", f"{result.token_parameters:,} in the unpruned model")
    if result.matrix_peak_flops is not None:
        add("fp32 matrix peak", f"{result.matrix_peak_flops / 1e9:,.1f} GFLOP/s on {result.threads} core(s)")
    add("fp32 roofline", _roofline(result))
    stdout().print(table)


def _roofline(result: BenchResult) -> str:
    if result.roofline_share is not None:
        return f"{result.roofline_share:.1%} = {_ROOFLINE}"
    if result.device != "cpu":
        return "not known on a GPU: its matrix peak is not measured"
    return "not known: the bundle does not record the number of weights per token; run `lossrank export` again"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 10 else duration(seconds)


def _bytes(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.0f} MiB"
