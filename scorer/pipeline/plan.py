"""Plan: the choices made for a run before its first row is scored, and the manifest that records them."""

from dataclasses import dataclass
from functools import partial

from msgspec import UNSET
from msgspec.structs import replace

from scorer.data.annotations.columns import refuse_answers, refuse_columns
from scorer.data.columns import Columns, choose_columns
from scorer.data.labels.checks import CheckedLabels, check_labels
from scorer.data.labels.counts import count_labels, is_countable
from scorer.data.labels.guess import refuse_unnamed_label
from scorer.data.labels.label_map import LabelMap, make_label_map
from scorer.data.source import Source
from scorer.errors import RunError
from scorer.machine import versions
from scorer.model.autotune import DEFAULT
from scorer.model.bundle import ModelBundle
from scorer.model.calibration import Calibration
from scorer.model.origin import BundleInfo, ImportInfo
from scorer.model.session import OrtSession
from scorer.model.tokenizer import BundleTokenizer
from scorer.pipeline.options import ScoreOptions
from scorer.pipeline.prefetch import Reader
from scorer.run.manifest import FORMAT, IMPORT_FORMAT, DataInfo, LabelInfo, Machine, Manifest, RunColumns, RunOptions
from scorer.run.manifest_file import refuse_many_shards

_FIRST_ROWS = 1000  # whose answers are looked at
_CUDA_BATCH_TOKENS = 16384  # a GPU wants large batches


@dataclass(frozen=True)
class DataPlan:
    """The choices made for a run about its data.

    ``checked`` is what the first pass over all labels found; None without labels, and for streams, which are not read
    twice.
    """

    source: Source
    columns: Columns
    labels: LabelMap | None
    checked: CheckedLabels | None


@dataclass(frozen=True)
class Plan(DataPlan):
    """The choices made for a run, which the user can read before scoring takes a night.

    ``precision`` is the precision in which every row is run first. ``screen_top`` is how many of the worst rows
    a screen must find in fp32; None if the run is no screen.
    """

    device: str
    why_device: str
    threads: int
    precision: str
    screen_top: int | None
    calibration: Calibration

    @property
    def batch_tokens(self) -> int:
        return self.calibration.batch_tokens


@dataclass(frozen=True)
class Models:
    """The session that runs every row first, and the session that rescores a screen's worst rows in fp32."""

    first: OrtSession
    again: OrtSession | None


def make_plan(bundle: ModelBundle, source: Source, options: ScoreOptions) -> tuple[Plan, BundleTokenizer, Models]:
    """Choose columns, labels, device, threads and batch size, and load the tokenizer and the model."""
    refuse_many_shards(source.num_rows, options.shard_rows)
    source, columns = find_columns(source, options)
    labels, checked = find_labels(bundle.class_names, source, columns, options)
    if columns.text_pair is not None and options.long_text == "mean":
        raise RunError("`long_text='mean'` is for single texts, but the data has pairs; leave `long_text` out")
    tokenizer = BundleTokenizer(bundle, options.max_tokens, options.long_text)
    precision = "fp32" if options.precision == "fp32" else "int8"
    session = OrtSession(bundle.model_file(precision), options.device, options.threads, precision)
    screen_top = options.screened(source.num_rows)
    again = None if screen_top is None else OrtSession(bundle.model_file(), session.device, session.threads)
    chosen = _chosen(options, session.device)
    plan = Plan(
        source,
        columns,
        labels,
        checked,
        session.device,
        session.why,
        session.threads,
        precision,
        screen_top,
        chosen,
    )
    return plan, tokenizer, Models(session, again)


def find_columns(source: Source, options: ScoreOptions) -> tuple[Source, Columns]:
    """Return the source, with the named text columns joined, and the columns that are named or guessed.

    Raises:
        SourceError: a column is missing, has the wrong type, or must be named.
    """
    if options.label_column is None:
        refuse_columns(source.schema)
        if "answer" in source.schema.names and source.unusable.get("answer") is None:
            first = next(source.read(["answer"], 0, _FIRST_ROWS), None)
            refuse_answers([] if first is None else first.column("answer").to_pylist())
    text = options.text_column
    if text is not None and not isinstance(text, str):
        source = source.joining(text, options.join)
        text = None if source.joined is None else source.joined.name
    columns = choose_columns(
        source.readable_schema,
        text,
        options.text_pair_column,
        options.label_column,
        options.id_column,
        class_labels=source.label_names,
        unusable=source.unusable,
        no_label=options.no_label,
    )
    return source, columns


def find_labels(
    class_names: tuple[str, ...], source: Source, columns: Columns, options: ScoreOptions
) -> tuple[LabelMap | None, CheckedLabels | None]:
    """Return the map of the labels, and what a pass over all labels found.

    Raises:
        LabelError: the labels don't match the model's classes, or the label column must be named.
        RunError: an option needs labels.
    """
    if columns.label is None:
        for name in ("label_map", "no_label_value"):
            if getattr(options, name) is not None:
                raise RunError(f"`{name}` is about labels, but the data has no label; name it with `label_column`")
        if options.precision == "screen":
            raise RunError("`precision='screen'` ranks by loss, but the data has no label; use `precision='fp32'`")
        if not options.no_label:
            refuse_unnamed_label(source, columns.names(), class_names)
        return None, None
    names = source.label_names.get(columns.label)
    labels = make_label_map(class_names, names, options.label_map, options.no_label_value)
    if not is_countable(source):
        return labels, None
    with Reader("labels") as reader:  # a read that stalls must not hold up Ctrl-C
        counts = reader.start(partial(count_labels, source, columns.label)).result()
    return labels, check_labels(counts, labels)


def _chosen(options: ScoreOptions, device: str) -> Calibration:
    """Return the batch size of a new run before calibration: the given one, or the device's default."""
    if options.batch_tokens is not None:
        return Calibration(options.batch_tokens, {}, "the requested size")
    if device == "cuda":
        return Calibration(_CUDA_BATCH_TOKENS, {}, "for a GPU")
    return Calibration(DEFAULT, {}, "too few rows to try others")


def new_manifest(plan: Plan, bundle: ModelBundle, options: ScoreOptions, tokenizer: BundleTokenizer) -> Manifest:
    """Return the manifest of a new run, before its first shard."""
    record = BundleInfo(
        path=str(bundle.path.absolute()),
        sha256=bundle.sha256,
        model=bundle.model,
        revision=bundle.revision,
        class_names=bundle.class_names,
    )
    scoring = RunOptions(
        device=plan.device,
        precision=options.precision,
        screen_top=plan.screen_top,
        max_tokens=tokenizer.max_tokens,
        long_text=tokenizer.long_text,
        batch_tokens=plan.batch_tokens,
        window_rows=options.window,
        shard_rows=options.shard_rows,
        text_hash=True,
        top_probs=options.top_probs(len(bundle.class_names)) or UNSET,
    )
    return replace(manifest_of(plan, record, scoring, plan.threads), calibration=plan.calibration)


def manifest_of(plan: DataPlan, origin: BundleInfo | ImportInfo, options: RunOptions, threads: int) -> Manifest:
    """Return the manifest of a new run whose predictions come from ``origin``, before its first shard."""
    machine = Machine(threads=threads, versions=versions())
    columns = plan.columns
    return Manifest(
        format=FORMAT if isinstance(origin, BundleInfo) else IMPORT_FORMAT,
        bundle=origin if isinstance(origin, BundleInfo) else None,
        imported=origin if isinstance(origin, ImportInfo) else None,
        data=DataInfo(
            name=plan.source.name,
            fingerprint=plan.source.fingerprint,
            rows=plan.source.num_rows,
            spec=plan.source.spec,
            lines=plan.source.lines or UNSET,
            joined=plan.source.joined or UNSET,
        ),
        columns=RunColumns(text=columns.text, text_pair=columns.text_pair, label=columns.label, id=columns.id),
        labels=None if plan.labels is None else LabelInfo(how=plan.labels.how, map=plan.labels.by_value),
        options=options,
        machine=machine,
        machines=(machine,),
        shards={},
    )
