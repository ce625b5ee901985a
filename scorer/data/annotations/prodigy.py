"""Read Prodigy's ``db-out`` of text classification: yes or no to one label, or a choice among labels."""

from scorer.data.annotations.base import (
    NotARow,
    Record,
    Shape,
    Tally,
    are_multi_label,
    count,
    label_text,
    mostly,
    refusal,
    texts,
    where,
)
from scorer.errors import SourceError

_ANSWERS = {"accept": "", "reject": "rejected", "ignore": "ignored"}
_HASHES = ("_input_hash", "_task_hash")
_KEPT = "prodigy.answer"  # with ``answer``, a row whose label people corrected would still say that it is rejected
_KEYS = {
    "text", "label", "answer", "options", "accept", "meta", "html", "image", "score", "priority", "spans", "tokens",
    "relations", "config", "source", "input", "view_id", "versions", "sessions", "style",
}  # fmt: skip


class Prodigy(Shape):
    """A task per record: ``answer`` says what was made of ``label``, or of the options named by ``accept``.

    A rejected or ignored task has no label. An accepted option's id is the label, as text. ``answer`` is kept under
    another name.
    """

    name = "Prodigy"

    def row(self, record: Record, annotators: str | None, tally: Tally | None = None) -> Record:
        answer = record.get("answer")
        if not isinstance(answer, str) or answer not in _ANSWERS:
            raise NotARow(f"`answer` must be accept, reject or ignore in records of {self.name}")
        row = {_KEPT if key == "answer" else key: value for key, value in record.items()}
        if _ANSWERS[answer]:
            count(tally, _ANSWERS[answer])
            return {**row, "label": None}
        label = label_text(record["accept"] if "accept" in record else record.get("label"))
        if label is None:
            count(tally, "unanswered")
        elif tally is not None:
            task = record.get("_input_hash")
            tally.labelled(record.get("text") if task is None else task, label)
        return {**row, "label": label}

    def note(self, tally: Tally) -> str:
        if tasks := tally.contradicted:
            raise SourceError(
                f"Prodigy's records give {tasks:,} of the texts different accepted labels, by several people or in "
                "several questions; merge them with Prodigy's own `prodigy review`, or keep the first by pandas: "
                "df[df.answer == 'accept'].drop_duplicates('_input_hash').to_json(..., orient='records', lines=True)"
            )
        return super().note(tally)


def prodigy(sample: list[Record]) -> Shape | None:
    """Return the shape of Prodigy's records; None if the records aren't Prodigy's.

    Raises:
        SourceError: the records have several labels each, or label spans or relations.
    """
    if not mostly(sample, _is_task):
        return None
    if not mostly(sample, _has_hash) and not all(map(_has_only_known_keys, sample)):
        answers = {record["answer"] for record in filter(_is_task, sample)}
        if "accept" in answers and len(answers) > 1 and mostly(sample, lambda record: texts(record, ("text", "label"))):
            raise SourceError(
                "the records may be Prodigy's, where a label with the `answer` reject or ignore is no label, or have "
                "an unrelated column `answer`; keep the accepted by pandas (df[df.answer == 'accept']), or remove or "
                "rename the column `answer`"
            )
        return None
    if not any("label" in record or "accept" in record for record in sample):
        if any("relations" in record for record in sample):
            raise refusal("Prodigy", "label relations", "annotate with textcat.manual")
        if any("spans" in record for record in sample):
            raise refusal("Prodigy", "label spans", "annotate the texts with `prodigy textcat.manual`")
        return None
    accepted = [record for record in sample if record.get("answer") == "accept" and "accept" in record]
    if are_multi_label(record["accept"] for record in accepted):
        several = next(record for record in accepted if len(record["accept"]) > 1)
        raise refusal(
            "Prodigy",
            f"accept several options, as {where(several)} does",
            "annotate with `textcat.manual --exclusive`, or keep the first by pandas: df['accept'] = "
            "df['accept'].str[:1]",
        )
    return Prodigy()


def _is_task(record: Record) -> bool:
    return record.get("answer") in list(_ANSWERS) and (
        isinstance(record.get("accept", []), list) and isinstance(record.get("text", ""), str)
    )


def _has_hash(record: Record) -> bool:
    return any(isinstance(record.get(key), int) for key in _HASHES)


def _has_only_known_keys(record: Record) -> bool:
    """Return whether a record without hashes can only be Prodigy's, since ``answer`` alone may be anyone's column."""
    known = all(key in _KEYS or key.startswith("_") for key in record)
    return known and ("label" in record or any(isinstance(record.get(key), list) for key in ("options", "spans")))
