"""`lossrank export`."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
from msgspec import UNSET
from rich.console import Console
from rich.table import Table

from cli.console import safe, stdout
from cli.log_file import logging_to, refuse_log_file
from cli.options import json_option, log_file_option
from cli.output import print_json
from exporter import ConversionError
from exporter.routes.choose import EXPORTERS, Exporter
from lossrank import Step
from lossrank import export as export_model
from scorer import ModelBundle
from scorer.events import event
from scorer.model.bundle_manifest import ITSELF, MANIFEST
from scorer.text import printable

_MOST_CLASSES = 30


@click.command()
@click.argument("model", required=False)
@click.argument("bundle", required=False, metavar="BUNDLE", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The folder to write, instead of BUNDLE.")
@click.option(
    "--onnx",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Take this ONNX classifier in place of MODEL; it is compared with itself, not with torch.",
)
@click.option(
    "--tokenizer",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="With --onnx: a folder with tokenizer.json, and with tokenizer_config.json if there is one.",
)
@click.option(
    "--labels",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="With --onnx: the names of the classes in the order of the logits: a JSON list, a config.json with id2label, "
    "or a text file with one name a line.",
)
@click.option("--output-name", metavar="NAME", help="With --onnx: the output that has the logits.  [default: logits]")
@click.option("--logits", is_flag=True, help="With --onnx: numbers that are all in 0..1 are logits all the same.")
@click.option("--revision", help="Branch, tag or commit of a model on the Hugging Face hub.")
@click.option(
    "--force",
    is_flag=True,
    help="Replace BUNDLE if it is a bundle; the old bundle stays until the new bundle is complete.",
)
@click.option(
    "--int8/--no-int8",
    default=True,
    show_default=True,
    help="Also write the int8 graph, for --precision int8 and screen.",
)
@click.option(
    "--exporter",
    type=click.Choice(EXPORTERS),
    default="auto",
    show_default=True,
    help="What converts the model to ONNX; auto takes optimum if it is installed and knows the model, and torch "
    "otherwise, or if optimum fails.",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    help="Tokens of a text that the bundle reads. [default: as many as the model can read]",
)
@log_file_option
@json_option
def export(
    model: str | None,
    bundle: Path | None,
    output: Path | None,
    onnx: Path | None,
    tokenizer: Path | None,
    labels: Path | None,
    output_name: str | None,
    logits: bool,
    revision: str | None,
    force: bool,
    int8: bool,
    exporter: Exporter,
    max_tokens: int | None,
    log_file: Path | None,
    as_json: bool,
) -> None:
    """Turn a Hugging Face classifier into a bundle that scores without torch.

    MODEL is a folder or a name on the Hugging Face hub. BUNDLE is the folder to write, with the model as an ONNX
    graph, its tokenizer and its class names. Varied texts are run through torch and through the bundle; if logits or
    losses differ too much, nothing is written.

    An ONNX classifier that you have becomes a bundle with --onnx, --tokenizer and --labels, for which no torch is
    needed. A model that gives probabilities in any other way needs no bundle: see `lossrank import-probs`.

    \b
    Examples:
      lossrank export andi611/distilbert-base-uncased-ner-agnews bundle
      lossrank export ./my-classifier bundle --force
      lossrank export org/classifier bundle --revision v2 --no-int8
      lossrank export --onnx model.onnx --tokenizer ./my-tokenizer --labels classes.txt -o bundle
    """
    started = time.monotonic()
    model, bundle = _places(model, bundle, output, onnx)
    _require_pairs(
        onnx, {"--tokenizer": tokenizer, "--labels": labels}, {"--output-name": output_name, "--logits": logits}
    )
    refuse_log_file(log_file, folder=bundle)
    with logging_to(log_file, "export", model=model or str(onnx), bundle=str(bundle)):
        with _steps() as steps:
            exported = export_model(
                model,
                bundle,
                tokenizer=tokenizer,
                onnx=onnx,
                labels=labels,
                output_name=output_name,
                logits=logits,
                revision=revision,
                force=force,
                int8=int8,
                exporter=exporter,
                max_tokens=max_tokens,
                progress=steps,
            )
        seconds = time.monotonic() - started
        event("end", seconds=round(seconds, 3), sha256=exported.sha256, parity=exported.parity().to_dict())
    if as_json:
        print_json(
            {
                "path": exported.path,
                **exported.to_dict(),
                "sha256": exported.sha256,
                "seconds": seconds,
                "steps": steps.timed(),
            }
        )
        return
    _print_summary(exported, seconds)
    click.echo(f"\nNext: lossrank score {bundle} DATA -o run")


def _places(model: str | None, bundle: Path | None, output: Path | None, onnx: Path | None) -> tuple[str | None, Path]:
    """Return the model, None if there is an ONNX file, and the folder to write, from what was given in any form."""
    given = [place for place in (model, bundle, output) if place is not None]
    if onnx is not None and len(given) == 1:
        return None, Path(given[0])
    if onnx is None and model is not None and len(given) == 2:
        return model, Path(given[1])
    if onnx is not None and len(given) > 1:
        raise click.UsageError("--onnx FILE takes the place of MODEL; give only the folder to write beside it")
    if len(given) > 2:
        raise click.UsageError("Give the folder to write as BUNDLE or with --output, not both.")
    raise click.UsageError(f"Missing argument '{'MODEL' if model is None and onnx is None else 'BUNDLE'}'.")


def _require_pairs(onnx: Path | None, needed: dict[str, object], optional: dict[str, object]) -> None:
    for option, value in needed.items():
        if (value is None) != (onnx is None):
            raise click.UsageError(f"--onnx and {option} need each other.")
    for option, value in optional.items():
        if value and onnx is None:
            raise click.UsageError(f"{option} needs --onnx.")


@contextmanager
def _steps() -> Iterator["_Steps"]:
    """Show the steps of an export, and what the libraries printed before a failure of theirs."""
    with _status() as say:
        try:
            yield _Steps(say)
        except ConversionError as error:
            say.stop()
            for line in error.log.rstrip().splitlines():
                click.echo(printable(line), err=True)
            raise


class _Steps:
    """Shows and records the steps of an export, with the time at which each began."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._began: list[tuple[str, float]] = []

    def __call__(self, step: Step) -> None:
        doing = step.note or ""
        self._began.append((doing, time.monotonic()))
        event("step", doing=doing)
        self._say(doing)

    def timed(self) -> list[dict[str, Any]]:
        """Return each step and its seconds; the last one only tells what all took."""
        pairs = pairwise(self._began)
        return [{"doing": doing, "seconds": end - start} for (doing, start), (_, end) in pairs]


class _Status:
    """Shows the step in progress: a spinner on a terminal, otherwise one line per step."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._spinner = console.status("") if console.is_terminal else None

    def __call__(self, doing: str) -> None:
        if self._spinner is None:
            self._console.print(safe(doing), soft_wrap=True)
        else:
            self._spinner.update(safe(doing))
            self._spinner.start()

    def stop(self) -> None:
        if self._spinner is not None:
            self._spinner.stop()


@contextmanager
def _status() -> Iterator[_Status]:
    # The console keeps this sys.stderr: the exporter redirects what its libraries print, but not the spinner.
    status = _Status(Console(file=sys.stderr, highlight=False))
    try:
        yield status
    finally:
        status.stop()


def _print_summary(bundle: ModelBundle, seconds: float) -> None:
    parity = bundle.parity()
    names = ", ".join(bundle.class_names[:_MOST_CLASSES])
    more = len(bundle.class_names) - _MOST_CLASSES
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("bundle", safe(f"{bundle.path} ({bundle.model_type}, {seconds:.0f} s)"))
    table.add_row("classes", safe(f"{len(bundle.class_names)}: {names}{f' and {more} more' if more > 0 else ''}"))
    table.add_row("max tokens", f"{bundle.max_tokens:,}")
    for name in (*bundle.files, MANIFEST):
        table.add_row(name, _size((bundle.path / name).stat().st_size))
    graph, file = bundle.variants["fp32"].graph, bundle.variants["fp32"].file
    compared = f"{parity.texts} texts of up to {parity.max_tokens:,} tokens"
    if bundle.compared_with == ITSELF:
        table.add_row("graph", safe(f"of {bundle.model}; {graph}"))
        table.add_row("parity", f"{compared} alone and in padded batches; NOT compared with torch")
    else:
        table.add_row("graph", safe(f"by {bundle.exporter}; {graph}"))
        table.add_row("parity", f"{compared} through torch and through {file}")
    table.add_row("  logits", f"at most {parity.max_logit_difference:.1e} apart")
    table.add_row("  losses", f"at most {parity.max_loss_difference:.1e} nats apart")
    table.add_row("  predictions", f"{parity.label_agreement:.1%} the same")
    table.add_row(f"  worst {parity.top_k}", f"{parity.top_k_overlap:.1%} the same")
    if parity.attention is not UNSET:
        apart = f"at most {parity.attention_difference:.1e} apart"
        table.add_row("  in torch", f"eager and {parity.attention} attention {apart}")
    if "int8" in bundle.variants:
        int8 = bundle.parity("int8")
        mean, same = int8.mean_loss_difference, int8.label_agreement
        table.add_row("int8", f"losses {mean:.3f} nats apart on average, {same:.1%} of the predictions the same")
    stdout().print(table)


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count / 1e3:,.1f} kB"
