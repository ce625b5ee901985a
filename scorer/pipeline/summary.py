"""Count a finished run's summary (``RunStats``) from its shards and their notes."""

from collections import Counter

import pyarrow as pa
from msgspec import UNSET
from msgspec.structs import replace

from scorer.errors import SourceError
from scorer.machine import peak_memory_bytes
from scorer.pipeline.screen import screen_again
from scorer.pipeline.window import Window
from scorer.run.content import digits
from scorer.run.directory import RunDirectory, shard_name
from scorer.run.health import run_health
from scorer.run.manifest import RunStats, ShardNotes
from scorer.run.schema import (
    BAD_LOGITS_STATUS,
    BAD_PROBS_STATUS,
    INVALID_TEXT,
    NO_LABEL_STATUS,
    NO_MEMORY_STATUS,
    NO_TEXT,
    OK,
    STATUSES,
    UNKNOWN_LABEL_STATUS,
    UNREADABLE,
)
from scorer.run.shard_file import count_words
from scorer.text import short

OF_THE_PROCESS = ("kept_rows", "model_share", "seconds", "peak_memory_bytes")  # the rest follows from the shards
_LEAST = 0.05  # the share of rows that must be scored for a run to be one
_FIXES = {  # what is most likely wrong if nearly all rows have a status
    NO_TEXT: "name the column of the texts with `text_column`",
    INVALID_TEXT: "give the file's `encoding`",
    UNREADABLE: "check that the first line has the names of all columns, and the file's `delimiter` and `quoting`",
    BAD_LOGITS_STATUS: "check the bundle with another device, and export the model again",
    BAD_PROBS_STATUS: "check the probabilities",
    NO_MEMORY_STATUS: "give a smaller `max_tokens`, or use a machine with more memory",
}
_MOST = 10  # unknown labels, and unreadable rows, that a summary names
_COUNTED = 1000  # unknown labels that a shard counts one by one, so that run.json stays small
OTHERS = "(others)"  # counts the rows whose unknown labels are not named
UNTOLD = "(not told apart)"  # counts the rows that shards no longer counted by label, having ``_COUNTED`` labels


def add_window(
    notes: ShardNotes,
    window: Window,
    scores: pa.Table,
    tokens: int,
    padded_tokens: int,
    duplicates: int,
    zero_probs: int | None = None,
) -> None:
    """Add a window to its shard's notes; ``tokens`` and ``padded_tokens`` count what the model was given for it.

    ``zero_probs`` counts the rows whose label has the imported probability 0, None if a model scored the window.
    """
    before = {} if notes.by_status is UNSET else notes.by_status
    notes.by_status = dict(Counter(before) + count_words(scores["status"]))
    notes.content = digits(int(notes.content or "0", 16) + window.content)
    notes.tokens += tokens
    notes.padded_tokens += padded_tokens
    notes.duplicates += duplicates
    notes.reused += 0 if window.reused is None else len(window.reused.places)
    if zero_probs is not None:
        notes.zero_probs = (0 if notes.zero_probs is UNSET else notes.zero_probs) + zero_probs
    unknown = Counter(notes.unknown_labels)
    for label, count in window.unknown.items():
        unknown[short(label)] += count
    notes.unknown_labels = _most_common(unknown, _COUNTED, UNTOLD)
    problems = [f"row {row} ({why})" for row, why in window.problems.items()]
    notes.problems = [*notes.problems, *problems][:_MOST]


def summarise(run: RunDirectory, *, kept_rows: int, seconds: dict[str, float], model_share: float) -> RunStats:
    """Return a finished run's summary, counted from its shards and added up from their notes.

    Raises:
        RunError: a shard is missing or can't be read.
    """
    health = run_health(run)
    tokens = padded = duplicates = reused = zeros = 0
    unknown: Counter[str] = Counter()
    problems: list[str] = []
    for index in range(run.num_shards):
        shard = run.shards[shard_name(index)]
        tokens += shard.tokens
        padded += shard.padded_tokens
        duplicates += shard.duplicates
        reused += shard.reused
        zeros += 0 if shard.zero_probs is UNSET else shard.zero_probs
        unknown.update(shard.unknown_labels)
        problems = [*problems, *shard.problems][:_MOST]
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
        screen=run.manifest.screen,
        model_share=model_share,
        seconds=seconds,
        peak_memory_bytes=peak_memory_bytes(),
        unknown_labels=_most_common(unknown, _MOST, OTHERS),
        problems=problems,
        reused=reused,
        zero_probs=zeros,
    )


def refuse_hardly_any(stats: RunStats) -> None:
    """Raise SourceError if the model could score less than a twentieth of the rows.

    Raises:
        SourceError: hardly a row has predictions; the message has the most frequent reason and its likely cause.
    """
    scored = sum(stats.by_status.get(status, 0) for status in (OK, NO_LABEL_STATUS, UNKNOWN_LABEL_STATUS))
    if scored >= _LEAST * stats.rows:
        return
    status = max(_FIXES, key=lambda name: stats.by_status.get(name, 0))
    first = f" (the first: {short(stats.problems[0])})" if status == UNREADABLE and stats.problems else ""
    most = f"{stats.by_status.get(status, 0):,} {STATUSES[status]}{first}"
    raise SourceError(
        f"only {scored:,} of {stats.rows:,} rows could be scored: {most}; "
        f"{_FIXES[status]}, then score again into another folder",
        quotes_data=bool(first),
    )


def recount(run: RunDirectory, recorded: RunStats) -> RunStats:
    """Return a finished run's summary, counted again from its shards.

    Values of the process that wrote ``recorded`` (``OF_THE_PROCESS``) are copied from it, except ``kept_rows``, which
    is all rows. The screen's report is counted again only if the summary's report differs from the manifest's.

    Raises:
        RunError: a shard is missing or can't be read.
    """
    stats = summarise(run, kept_rows=run.num_rows, seconds=recorded.seconds, model_share=recorded.model_share)
    if stats.screen != recorded.screen:
        stats = replace(stats, screen=screen_again(run) if run.is_screen else None)
    return replace(stats, peak_memory_bytes=recorded.peak_memory_bytes)


def _most_common(counts: Counter[str], most: int, rest: str) -> dict[str, int]:
    """Return the counts of the ``most`` most common labels, then of all others as ``rest``, then of ``UNTOLD``."""
    untold = Counter({UNTOLD: counts[UNTOLD]})
    labels = counts - untold
    named = Counter(dict(labels.most_common(most)))
    return dict(named + Counter({rest: labels.total() - named.total()}) + untold)
