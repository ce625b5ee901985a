"""A review record as one flat object, as files and Label Studio have it."""

from lossrank.review.records import Refusal, ReviewRecord, parted, unwritable

RECORD_ID = "record_id"  # its key; ``id`` alone is what the tools call their own
TEXT, PAIR = "text", "text_pair"


def flat(record: ReviewRecord) -> dict[str, float | int | str | None]:
    """Return what is known of a record but for its texts; the user's own id is ``source_id``."""
    known = dict(record.metadata)
    source_id = known.pop("id", None)
    return {
        "rank": record.rank,
        "row": record.row,
        RECORD_ID: record.id,
        **({} if source_id is None else {"source_id": source_id}),
        "given": record.given,
        "predicted": record.predicted[0],
        "probability": min(record.predicted[1], 1.0),
        **{name: value for name, value in known.items() if name not in ("row", "given", "predicted")},
    }


def texts(record: ReviewRecord) -> dict[str, str]:
    """Return a record's text, and the other one of a pair, whatever the data calls them."""
    return dict(zip((TEXT, PAIR), record.inputs.values(), strict=False))


def accept(records: list[ReviewRecord]) -> tuple[list[ReviewRecord], list[Refusal]]:
    """Part the records that can be written as UTF-8 from those that can't."""
    return parted(records, lambda record: unwritable(record, _encode))


def _encode(record: ReviewRecord) -> bytes:
    return "".join([*record.inputs.values(), *map(str, flat(record).values())]).encode()
