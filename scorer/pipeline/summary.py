"""RunStats: what a finished run says of itself, counted from its shards."""

from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pyarrow as pa

from scorer.machine import peak_memory_bytes
from scorer.pipeline.screen import screen_again
from scorer.pipeline.window import Window
from scorer.run.directory import RunDirectory
from scorer.run.health import run_health
from scorer.run.shard_file import count_words
from scorer.text import short

OF_THE_PROCESS = ("kept_rows", "model_share", "seconds", "peak_memory_bytes")  # the rest follows from the shards
_MOST = 10  # unknown labels and unreadable lines that are named
_COUNTED = 1000  # unknown labels of a shard that are counted: more of them are no labels, and run.json must stay small
OTHERS = "(others)"  # counts the rows of labels that are not named
UNTOLD = "(not told apart)"  # counts rows past ``_COUNTED``, whose labels may be named or not


@dataclass
class ShardNotes:
    """What is noted of a shard while it is made, and can't be read back from its rows.

    ``padded_tokens`` is what the model was fed; ``duplicates`` are texts of which nothing was run because others of
    their window have the same tokens; ``unknown_labels`` counts the rows of each, long ones cut short, and past so many
    labels all others as ``UNTOLD``; ``problems`` are the first few. ``by_status`` counts the rows as they were scored,
    for the shard to be held against.
    """

    by_status: dict[str, int] = field(default_factory=dict)
    tokens: int = 0
    padded_tokens: int = 0
    duplicates: int = 0
    unknown_labels: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add(self, window: Window, scores: pa.Table, tokens: int, padded_tokens: int, duplicates: int) -> None:
        """Add a window of the shard."""
        self.by_status = dict(Counter(self.by_status) + count_words(scores["status"]))
        self.tokens += tokens
        self.padded_tokens += padded_tokens
        self.duplicates += duplicates
        unknown = Counter(self.unknown_labels)
        for label, count in window.unknown.items():
            unknown[short(label)] += count
        self.unknown_labels = _most_common(unknown, _COUNTED, UNTOLD)
        problems = [f"row {row} ({why})" for row, why in window.problems.items()]
        self.problems = [*self.problems, *problems][:_MOST]


@dataclass(frozen=True)
class RunStats:
    """The whole run's counts, and the work of the process that finished it.

    ``mean_loss`` (nats) and ``accuracy`` are over the rows with status ``ok``, None when there are none; ``padding``
    is a share 0..1; ``by_precision`` counts the rows that have predictions, ``duplicates`` the texts that another
    one's run served; ``screen`` is what ``scorer.pipeline.screen`` says. ``kept_rows`` were scored before this process,
    whose ``seconds`` are by stage (reading and tokenising go on while the model runs), and ``model_share`` is the
    share, 0..1, of its threads' time that was spent in the model. ``unknown_labels`` counts the rows of the most
    common, long ones cut short, of all ``OTHERS``, and ``UNTOLD`` ones, without which the counts are exact;
    ``problems`` names the first few unreadable lines.
    """

    rows: int
    kept_rows: int
    by_status: dict[str, int]
    mean_loss: float | None
    accuracy: float | None
    truncated: int
    tokens: int
    padding: float
    duplicates: int
    by_precision: dict[str, int]
    screen: dict[str, Any] | None
    model_share: float
    seconds: dict[str, float]
    peak_memory_bytes: int
    unknown_labels: dict[str, int]
    problems: list[str]

    @property
    def rows_per_second(self) -> float | None:
        """Rows that this process scored, per second of it; None if all were kept from before."""
        return speed(self.rows, self.kept_rows, self.seconds)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def speed(rows: int, kept_rows: int, seconds: dict[str, float]) -> float | None:
    """Return the rows per second of a process that scored all rows but those that it kept, None if it kept all."""
    return (rows - kept_rows) / max(seconds["total"], 1e-9) if rows > kept_rows else None


def summarise(run: RunDirectory, *, kept_rows: int, seconds: dict[str, float], model_share: float) -> RunStats:
    """Count a finished run's rows from its shards, and add up what was noted of each.

    Raises:
        RunError: a shard is missing or can't be read.
    """
    health = run_health(run)
    tokens = padded = duplicates = 0
    unknown: Counter[str] = Counter()
    problems: list[str] = []
    for _, notes in sorted(run.shards.items()):
        tokens += notes["tokens"]
        padded += notes["padded_tokens"]
        duplicates += notes["duplicates"]
        unknown.update(notes["unknown_labels"])
        problems = [*problems, *notes["problems"]][:_MOST]
    return RunStats(
        rows=run.num_rows,
        kept_rows=kept_rows,
        by_status=health.by_status,
        mean_loss=health.mean_loss,
        accuracy=health.accuracy,
        truncated=health.truncated,
        tokens=tokens,
        padding=1.0 - tokens / padded if padded else 0.0,
        duplicates=duplicates,
        by_precision=health.by_precision,
        screen=run.manifest.get("screen"),
        model_share=model_share,
        seconds=seconds,
        peak_memory_bytes=peak_memory_bytes(),
        unknown_labels=_most_common(unknown, _MOST, OTHERS),
        problems=problems,
    )


def recount(run: RunDirectory) -> RunStats:
    """Count a finished run's rows again; what its process was like is as its summary says, whose rows are all kept.

    Its screen too, where the summary and the run say different things of it.

    Raises:
        RunError: a shard is missing or can't be read.
    """
    said = run.manifest["summary"]
    stats = summarise(run, kept_rows=run.num_rows, seconds=said["seconds"], model_share=said["model_share"])
    if stats.screen != said["screen"]:
        is_screen = run.manifest["options"]["precision"] == "screen"
        stats = replace(stats, screen=screen_again(run) if is_screen else None)
    return replace(stats, peak_memory_bytes=said["peak_memory_bytes"])


def _most_common(counts: Counter[str], most: int, rest: str) -> dict[str, int]:
    """Return the counts of the most common labels, all others' as ``rest``, and at the end what was not told apart."""
    untold = Counter({UNTOLD: counts[UNTOLD]})
    labels = counts - untold
    named = Counter(dict(labels.most_common(most)))
    return dict(named + Counter({rest: labels.total() - named.total()}) + untold)
