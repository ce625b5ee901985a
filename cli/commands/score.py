"""`lossrank score`."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from cli.gates import check_gates, fail_if_option
from cli.log_file import ProgressLog, log_end, log_plan, logging_to, refuse_data, refuse_files, refuse_inside
from cli.options import json_option, log_file_option
from cli.output import print_json
from cli.progress import ScoreProgress
from cli.text import printable
from scorer import Plan, Progress, RunStats, ScoreOptions, score_dataset
from scorer.address import without_secrets
from scorer.audit.gates import Gate, failures
from scorer.data.labels import read_label_map
from scorer.errors import shortage
from scorer.model.tokenizer import LONG_TEXTS
from scorer.pipeline.options import ON_ERROR, PRECISIONS
from scorer.text import duration

_NO_LABEL = "NONE: there will be predictions and no loss; if there is a label, name it with --label-column"


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("data", nargs=-1, required=True)
@click.option(
    "-o", "--output", "run", required=True, type=click.Path(path_type=Path), help="The run directory to write."
)
@click.option("--text-column", help="Column with the text; guessed (text, sentence, ...) and said if not given.")
@click.option("--text-pair-column", help="Column with the second text, for models of text pairs.")
@click.option("--label-column", help="Column with the label; guessed (label, labels, ...) and said if not given.")
@click.option("--id-column", help="Column with your own id, carried along.")
@click.option(
    "--label-map",
    type=click.Path(path_type=Path),
    help='JSON file {"data label": "model class"}; null leaves a label out.',
)
@click.option("--config", help="Configuration of a `datasets` data set.")
@click.option("--split", help="Split of a `datasets` data set or of a saved DatasetDict.")
@click.option(
    "--streaming", is_flag=True, help="Read a `datasets` data set, by name or folder, without downloading it whole."
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option(
    "--threads", type=click.IntRange(min=1), help="Batches that run at once on a CPU; default: the cores available."
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="fp32",
    show_default=True,
    help="fp32; int8, faster and less exact; or screen: int8 for all rows and fp32 for the worst.",
)
@click.option(
    "--screen-top",
    type=click.IntRange(min=1),
    help="How many of the worst rows a screen is to find as fp32 would; default: 1% of the rows, at least 1000.",
)
@click.option(
    "--max-tokens", type=click.IntRange(min=1), help="Cut texts after so many tokens; default: the model's limit."
)
@click.option(
    "--long-text",
    type=click.Choice(LONG_TEXTS),
    default="head",
    show_default=True,
    help="Of longer texts: their start, their end, or the mean over overlapping pieces (64 at most).",
)
@click.option(
    "--batch-tokens",
    type=click.IntRange(min=1),
    help="Tokens in a padded batch; default: tried on the data if the run is long, else 512; 16384 on a GPU.",
)
@click.option(
    "--window-rows",
    type=click.IntRange(min=1),
    help="Rows sorted by length together; default: as many as fit a shard, up to 4096.",
)
@click.option(
    "--shard-rows",
    type=click.IntRange(min=1),
    default=4096,
    show_default=True,
    help="Rows written, and kept or redone, together.",
)
@click.option(
    "--on-error",
    type=click.Choice(ON_ERROR),
    default="skip",
    show_default=True,
    help="Rows that can't be read: count them and go on, or stop at the first.",
)
@click.option("--overwrite", is_flag=True, help="Start anew instead of going on with the run that is there.")
@fail_if_option
@log_file_option
@json_option
def score(
    bundle: Path,
    data: tuple[str, ...],
    run: Path,
    text_column: str | None,
    text_pair_column: str | None,
    label_column: str | None,
    id_column: str | None,
    label_map: Path | None,
    config: str | None,
    split: str | None,
    streaming: bool,
    device: str,
    threads: int | None,
    precision: str,
    screen_top: int | None,
    max_tokens: int | None,
    long_text: str,
    batch_tokens: int | None,
    window_rows: int | None,
    shard_rows: int,
    on_error: str,
    overwrite: bool,
    fail_if: tuple[Gate, ...],
    log_file: Path | None,
    as_json: bool,
) -> None:
    """Compute the loss of every row of DATA with the model in BUNDLE.

    DATA is a file, folder or glob of Parquet, Arrow, CSV or JSON lines, here or at an s3://, gs://, hf:// or https://
    address, or several of them; a folder written by datasets.save_to_disk; or the name of a `datasets` data set. A run
    that was cut off goes on when the same command is given again.

    \b
    Examples:
      lossrank score bundle reviews.parquet -o run
      lossrank score bundle 'logs/*.jsonl' -o run --text-column message --label-column topic
      lossrank score bundle ag_news --split test -o run
      lossrank score bundle 's3://bucket/reviews/*.parquet' -o run
      lossrank score bundle reviews.parquet -o run --precision screen
      lossrank score bundle tonight.parquet -o run --fail-if 'mean_loss > 0.5' --log-file night.jsonl
    """
    refuse_inside(log_file, run)
    refuse_data(log_file, data)
    refuse_files(log_file, [label_map, *(bundle.iterdir() if bundle.is_dir() else ())])
    with logging_to(log_file, "score", bundle=str(bundle), data=[without_secrets(each) for each in data], run=str(run)):
        options = ScoreOptions(
            text_column=text_column,
            text_pair_column=text_pair_column,
            label_column=label_column,
            id_column=id_column,
            label_map=None if label_map is None else read_label_map(label_map),
            device=device,
            threads=threads,
            precision=precision,
            screen_top=screen_top,
            max_tokens=max_tokens,
            long_text=long_text,
            batch_tokens=batch_tokens,
            window_rows=window_rows,
            shard_rows=shard_rows,
            on_error=on_error,
        )
        stats = run_score(
            bundle, data, run, options, config=config, split=split, streaming=streaming, overwrite=overwrite
        )
        log_end(stats)
        failed = failures(fail_if, stats.as_dict())
        if as_json:
            print_json(score_document(run, stats, failed))
        else:
            print_summary(stats, run)
        check_gates(failed)
    if as_json:
        return
    by = " --by entropy" if stats.mean_loss is None else ""
    click.echo(f"\nNext: lossrank rank {shlex.quote(str(run))} --top 20{by}")


def run_score(
    bundle: Path,
    data: str | Sequence[str],
    run: Path,
    options: ScoreOptions,
    *,
    config: str | None = None,
    split: str | None = None,
    streaming: bool = False,
    overwrite: bool = False,
) -> RunStats:
    """Score with the plan and a progress bar on stderr; both are told to a log file too, if there is one."""
    log = ProgressLog()

    def on_plan(plan: Plan) -> None:
        log_plan(plan)
        print_plan(plan)

    def on_progress(report: Progress) -> None:
        log(report)
        progress(report)

    with ScoreProgress() as progress:
        try:
            return score_dataset(
                bundle,
                data,
                run,
                options,
                config=config,
                split=split,
                streaming=streaming,
                overwrite=overwrite,
                on_plan=on_plan,
                on_progress=on_progress,
            )
        except BaseException as error:
            if progress.last is not None and (isinstance(error, KeyboardInterrupt) or shortage(error)):
                again = "the same command without --overwrite" if overwrite else "the same command again"
                click.echo(f"\nFinished shards are kept in {run}; give {again} to go on.", err=True)
            raise


def score_document(run: Path, stats: RunStats, failed_gates: list[str]) -> dict[str, Any]:
    """Return what ``--json`` prints of a run."""
    return {
        "run": str(run),
        **stats.as_dict(),
        "rows_per_second": stats.rows_per_second,
        "failed_gates": failed_gates,
    }


def print_plan(plan: Plan) -> None:
    """Say what will be done, above all what was guessed."""
    guessed = plan.columns.guessed
    source = plan.source
    _note(f"data     {source.name}: {source.num_rows:,} rows in {len(source.parts)} part(s)")
    for note in source.notes:
        _note(f"         {note}")
    for role, name in plan.columns.as_dict().items():
        if name is not None or role == "label":
            said = " (guessed)" if role in guessed else ""
            _note(f"{role:<8} {_NO_LABEL if name is None else name + said}")
    if plan.labels is not None:
        _note(f"classes  {', '.join(plan.labels.class_names)}; labels mapped {plan.labels.how}")
    threads = f", {plan.threads} thread(s)" if plan.device == "cpu" else ""
    _note(f"device   {plan.device}{threads} ({plan.why_device})")
    _note(f"batches  {plan.batch_tokens:,} tokens ({plan.calibration.why})")
    if plan.screen_top is not None:
        _note(f"screen   int8 for every row, fp32 for those that could be among the worst {plan.screen_top:,}")
    elif plan.precision != "fp32":
        _note(f"numbers  {plan.precision}: losses are not exact")


def print_summary(stats: RunStats, run: Path) -> None:
    """Print what the run found and what it took."""

    def say(what: str, value: str) -> None:
        click.echo(f"{what:<17}{printable(value)}")

    say("run", str(run))
    kept = f" ({stats.kept_rows:,} kept from before)" if stats.kept_rows else ""
    say("rows", f"{stats.rows:,}{kept}")
    for status, count in stats.by_status.items():
        say(f"  {status}", f"{count:,}")
    if stats.mean_loss is not None and stats.accuracy is not None:
        say("mean loss", f"{stats.mean_loss:.4f} nats")
        say("accuracy", f"{stats.accuracy:.2%} of the given labels are the model's own")
    say("truncated", f"{stats.truncated:,}")
    if stats.rows_per_second is not None:
        say("speed", f"{stats.rows_per_second:,.0f} rows/s")
    say("tokens", f"{stats.tokens:,}, and {stats.padding:.2%} of the model's input was padding")
    if stats.duplicates:
        say("duplicates", f"{stats.duplicates:,} texts had the tokens of another one and were not run")
    if stats.screen:
        print_screen(stats.screen, say)
    shown = {name: spent for name, spent in stats.seconds.items() if name != "total" and (spent or name != "rescore")}
    stages = ", ".join(f"{name} {duration(spent)}" for name, spent in shown.items())
    say("time", f"{duration(stats.seconds['total'])} ({stages})")
    say("in the model", f"{stats.model_share:.0%} of the threads' time")
    say("peak memory", f"{stats.peak_memory_bytes / 2**20:,.0f} MiB")
    for name, count in stats.unknown_labels.items():
        _note(f"unknown label {name!r}: {count:,} rows")
    for problem in stats.problems:
        _note(f"unreadable: {problem}")


def print_screen(screen: dict[str, Any], say: Callable[[str, str], None]) -> None:
    """Print what a screen found and how sure it is."""
    say("screen", f"{screen['rescored']:,} rows were scored again in fp32")
    if "control" in screen:
        control = screen["control"]
        say("  worst", f"{screen['top_k']:,}, of which an estimated {screen['estimated_recall']:.1%} are fp32's")
        say(
            "  control",
            f"{control['rows']:,} random rows in both: {control['mean_error']:.4f} nats apart on average, "
            f"{control['largest_error']:.2f} at most",
        )


def _note(text: str) -> None:
    """Say something beside the results; names and labels in it are somebody else's."""
    click.echo(printable(text), err=True)
