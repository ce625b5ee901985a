"""Turn a review record into one flat object, for files and Label Studio."""

from lossrank.review.records import Refusal, ReviewRecord, parted, unwritable

RECORD_ID = "record_id"  # the key of the record's id; tools use ``id`` for their own
TEXT, PAIR = "text", "text_pair"


def flat(record: ReviewRecord) -> dict[str, float | int | str | None]:
    """Return a record's values by key, without its texts; the row's id in the data has the key ``source_id``."""
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
    """Return a record's text, and the second text of a text pair, with the keys ``text`` and ``text_pair``."""
    return dict(zip((TEXT, PAIR), record.inputs.values(), strict=False))


def accept(records: list[ReviewRecord]) -> tuple[list[ReviewRecord], list[Refusal]]:
    """Return the records that can be encoded as UTF-8, and a Refusal for each other record."""
    return parted(records, lambda record: unwritable(record, _encode))


def _encode(record: ReviewRecord) -> bytes:
    return "".join([*record.inputs.values(), *map(str, flat(record).values())]).encode()
