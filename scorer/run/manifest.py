"""The structures of ``run.json``, a run's manifest: what was scored, how, which shards are finished, and the results.

Sections are frozen; a run changes only through the methods of ``RunDirectory``. Fields are written in the order in
which they are declared. Decoding checks types and ranges and names the path of the first fault. Unknown keys are
ignored.
"""

from datetime import datetime

import msgspec
from msgspec import UNSET, Struct, UnsetType

from scorer.data.joined import JoinedText
from scorer.data.spec import Location, Spec
from scorer.model.calibration import Calibration
from scorer.model.origin import IMPORTED, BundleInfo, ImportInfo, Sha256
from scorer.typed_json import Amount, Count, Index, Number, Positive, Section

FORMAT = 2
IMPORT_FORMAT = 3  # a run of imported probabilities, which older versions can't read
_MOST_SHARDS = 1_000_000  # the manifest lists each shard


class DataInfo(Section, frozen=True, kw_only=True):
    """The data that was scored; ``fingerprint`` is a SHA-256 of its content, ``spec`` tells how to open it again.

    A finished run of data in memory that was scored again with files has the fingerprint of the former, the spec of the
    latter. ``lines`` is the number of lines of CSV files, headers included. ``joined`` tells of which columns the text
    column is made, if of several.
    """

    name: str
    fingerprint: Sha256
    rows: Positive
    spec: Spec
    lines: Count | UnsetType = UNSET
    joined: JoinedText | UnsetType = UNSET


class RunColumns(Section, frozen=True, kw_only=True):
    """The names of the columns that were read; None if the run has no such column."""

    text: str
    text_pair: str | None
    label: str | None
    id: str | None


class LabelInfo(Section, frozen=True, kw_only=True):
    """How labels were mapped to classes: ``how`` in words, ``map`` from each label's spelling to its class index."""

    how: str
    map: dict[str, Index]


class RunOptions(Section, frozen=True, kw_only=True):
    """The options that the scores depend on; options that can be None may be absent in runs of older versions.

    ``batch_tokens`` is None if the probabilities were imported. ``text_hash`` is true if the shards have that column;
    UNSET in runs that older versions began. ``top_probs`` is how many probabilities a row keeps, besides its label's
    (``scorer/run/schema.py``); UNSET if it keeps those of all classes.
    """

    device: str | None = None
    precision: str
    screen_top: Positive | None = None
    max_tokens: Count | None = None
    long_text: str | None = None
    batch_tokens: Positive | None = None
    window_rows: Count | None = None
    shard_rows: Positive
    text_hash: bool | UnsetType = UNSET
    top_probs: Positive | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.is_screen and self.screen_top is None:
            raise ValueError("Object missing required field `screen_top`")
        if self.batch_tokens is None and self.precision != IMPORTED:
            raise ValueError("Object missing required field `batch_tokens`")

    @property
    def is_screen(self) -> bool:
        """Whether int8 screened the rows and the worst were rescored in fp32."""
        return self.precision == "screen"


class Machine(Section, frozen=True, kw_only=True):
    """A machine that scored: its threads, and the versions of the packages that the scores depend on."""

    threads: Count | None = None
    versions: dict[str, str] = msgspec.field(default_factory=dict)


class ShardNotes(Struct, kw_only=True):
    """Facts that are recorded while a shard is scored: what its rows don't tell, and counts to check its rows with.

    ``by_status`` counts the shard's rows by status when it was scored, for ``verify`` to compare (UNSET in runs of
    older versions). ``padded_tokens`` counts the tokens that the model was given, padding included. ``duplicates``
    counts the texts that were not run because another text in their window has identical tokens. ``unknown_labels``
    counts rows by their unknown label. ``problems`` names the first few unreadable rows. ``content`` is the content of
    the shard's rows (``scorer/run/content.py``, UNSET in runs of older versions). ``reused`` counts the rows whose
    scores were taken over from an earlier run. ``zero_probs`` counts the rows whose label has the imported probability
    0 (UNSET if a model scored the rows).
    """

    content: Sha256 | UnsetType = UNSET
    by_status: dict[str, Count] | UnsetType = UNSET
    tokens: Count = 0
    padded_tokens: Count = 0
    duplicates: Count = 0
    unknown_labels: dict[str, Count] = {}
    problems: list[str] = []
    reused: Count = 0
    zero_probs: Count | UnsetType = UNSET


class ShardInfo(Section, frozen=True, kw_only=True):
    """A finished shard: the SHA-256 of its file, and the fields of its ``ShardNotes``."""

    sha256: Sha256
    content: Sha256 | UnsetType = UNSET
    by_status: dict[str, Count] | UnsetType = UNSET
    tokens: Count
    padded_tokens: Count
    duplicates: Count
    unknown_labels: dict[str, Count]
    problems: list[str]
    reused: Count = 0
    zero_probs: Count | UnsetType = UNSET

    @property
    def notes(self) -> ShardNotes:
        values = msgspec.structs.asdict(self)
        del values["sha256"]
        return ShardNotes(**values)


class UnfinishedShard(Section, frozen=True, kw_only=True):
    """The finished windows of a shard that is not finished: its first ``rows`` rows, and the SHA-256 of their file."""

    rows: Positive
    sha256: Sha256
    notes: ShardNotes


class ReuseInfo(Section, frozen=True, kw_only=True):
    """The earlier run whose scores were taken over; ``scores`` is a SHA-256 of its shards' SHA-256."""

    path: Location
    scores: Sha256


class HistoryEntry(Section, frozen=True, kw_only=True):
    """One process's work on a run.

    ``started``, ``updated`` (when scores were written last) and ``ended`` are ISO 8601 times in UTC. ``rows`` counts
    the rows that the process scored and wrote. ``scoring_seconds`` is the time from ``started`` until the last of these
    rows were written, ``seconds`` the whole time of the process. ``why`` tells why the process ended: ``finished``,
    ``interrupted``, the error, or ``unknown`` if it was killed. ``why`` is None while the process works.
    """

    started: str
    pid: Count
    host: str
    machine: Machine | UnsetType = UNSET
    rows: Count
    scoring_seconds: Amount | UnsetType = UNSET
    seconds: Amount
    updated: str
    ended: str | None
    why: str | None

    def __post_init__(self) -> None:
        for time in (self.started, self.updated, self.ended):
            if time is not None and datetime.fromisoformat(time).tzinfo is None:
                raise ValueError(f"{time!r} has no time zone")

    @property
    def rows_per_second(self) -> float | None:
        """Rows per second while the process scored; None if it wrote no scores."""
        seconds = self.scoring_seconds or self.seconds
        return self.rows / seconds if self.rows and seconds else None


class ControlErrors(Section, frozen=True, kw_only=True):
    """The differences between int8 and fp32 losses (nats, high is bad) in a screen's control sample."""

    rows: Count
    mean_error: Amount
    error_quantiles: dict[str, Amount]
    largest_error: Amount


class ScreenReport(Section, frozen=True, kw_only=True):
    """What a screen did, and an estimate of how many of the worst rows it found.

    ``top_k`` (K) is how many of the worst rows were wanted. ``rescored`` counts the rows scored again in fp32, without
    the control sample. The other fields are UNSET if no row has a loss. ``threshold`` is the K-th largest fp32 loss
    (nats). ``margin`` is the int8 error that was allowed for (log-odds); None if there was no sample to measure errors
    on, so that every row was scored in fp32. ``expected_missed`` estimates how many of the worst K rows were never
    scored in fp32 (high is bad), ``estimated_recall`` the share (0..1, low is bad) of the worst K rows that was found.
    """

    top_k: Positive
    rescored: Count
    threshold: Amount | UnsetType = UNSET
    margin: Amount | UnsetType | None = UNSET
    expected_missed: Amount | UnsetType = UNSET
    estimated_recall: Amount | UnsetType = UNSET
    control: ControlErrors | UnsetType = UNSET


class RunStats(Section, frozen=True, kw_only=True):
    """The counts of a whole run, and the work of the process that finished it.

    ``by_status`` counts the rows by status: ``ok`` (have a loss), ``no_label`` and ``unknown_label`` (have predictions
    but no loss), ``no_text``, ``invalid_text`` (not UTF-8), ``unreadable``, ``bad_logits``, ``bad_probs`` (imported
    probabilities that are none) and ``no_memory``.
    ``truncated`` counts the texts that were cut to the model's limit.
    ``mean_loss`` (nats, high is bad) and ``accuracy`` (0..1, low is bad) are over the rows with status ``ok``; None if
    there are none. ``padding`` is the share (0..1) of the model's input that is padding. ``by_precision`` counts the
    rows that have predictions. ``duplicates`` counts the texts that were not run because another text in their window
    has identical tokens. ``kept_rows`` counts the rows that earlier processes scored. ``seconds`` are the seconds that
    the process spent in each stage (reading and tokenising overlap the model). ``model_share`` (0..1) is the share of
    its model threads' time spent in the model. ``unknown_labels`` counts rows of the most common unknown labels.
    ``problems`` names the first few unreadable rows. ``reused`` counts the rows whose scores were taken over from an
    earlier run. ``zero_probs`` counts the rows whose label has the imported probability 0: their loss is 103.3 nats,
    that of the smallest positive float32 number. In a run of imported probabilities, ``tokens``, ``padding``,
    ``duplicates`` and ``model_share`` are 0.

    Example:
        >>> run.stats.rows, round(run.stats.accuracy, 3)
        (500, 0.884)
    """

    rows: Positive
    kept_rows: Count
    by_status: dict[str, Count]
    mean_loss: Number | None
    accuracy: Amount | None
    truncated: Count
    tokens: Count
    padding: Number
    duplicates: Count
    by_precision: dict[str, Count]
    screen: ScreenReport | None
    model_share: Amount
    seconds: dict[str, Amount]
    peak_memory_bytes: Count
    unknown_labels: dict[str, Count]
    problems: list[str]
    reused: Count = 0
    zero_probs: Count = 0

    def __post_init__(self) -> None:
        if "total" not in self.seconds:
            raise ValueError("Object missing required field `seconds.total`")

    @property
    def rows_per_second(self) -> float | None:
        """Rows that this process scored or took over per second; None if earlier processes scored every row."""
        scored = self.rows - self.kept_rows
        return scored / max(self.seconds["total"], 1e-9) if scored > 0 else None


class Manifest(Section, frozen=True, kw_only=True, omit_defaults=True):
    """All of ``run.json``; ``machines`` lists the machines that worked on the run, in order.

    Either ``bundle`` or ``imported`` is there: what gave the predictions.
    ``replaces`` is the run, with decisions, that was in this run's folder, where it lies now. ``unfinished`` lists, by
    shard, the windows that are kept of shards that are not finished.
    """

    format: Count
    bundle: BundleInfo | None = None
    imported: ImportInfo | None = None
    data: DataInfo
    columns: RunColumns
    labels: LabelInfo | None
    options: RunOptions
    reuse: ReuseInfo | None = None
    replaces: Location | None = None
    calibration: Calibration | None = None
    machine: Machine | None = None
    machines: tuple[Machine, ...] = ()
    shards: dict[str, ShardInfo]
    unfinished: dict[str, UnfinishedShard] = msgspec.field(default_factory=dict)
    history: tuple[HistoryEntry, ...] = ()
    screen: ScreenReport | None = None
    summary: RunStats | None = None

    def __post_init__(self) -> None:
        if fault := shards_fault(self.data.rows, self.options.shard_rows):
            raise ValueError(fault)
        if (self.bundle is None) == (self.imported is None):
            raise ValueError("Object missing required field `bundle`")

    @property
    def origin(self) -> BundleInfo | ImportInfo:
        """What gave the predictions."""
        return self.bundle or self.imported  # type: ignore[return-value]  # one of them is there


def shards_fault(rows: int, shard_rows: int) -> str | None:
    """Return the fault of a run with more shards than a manifest can list; None if the manifest can list them."""
    if rows <= _MOST_SHARDS * shard_rows:
        return None
    return f"{rows:,} rows make more than {_MOST_SHARDS:,} shards of {shard_rows:,}"
