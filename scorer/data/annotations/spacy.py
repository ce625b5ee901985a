"""Read the categories of spaCy's text classifier: ``{"text": ..., "cats": {"A": 1.0, "B": 0.0}}``."""

from typing import Any

from scorer.data.annotations.base import NotARow, Record, Shape, Tally, are_multi_label, count, mostly, refusal, where


class Spacy(Shape):
    """A text and its ``cats``: the class with the value 1 is the label; if all are 0, there is none."""

    name = "spaCy's cats"

    def row(self, record: Record, annotators: str | None, tally: Tally | None = None) -> Record:
        cats = record.get("cats")
        if cats is None or not _are_cats(cats):
            raise NotARow("`cats` must give each class a number from 0 to 1")
        if soft := [name for name, value in cats.items() if value not in (0, 1)]:
            raise NotARow(f"`cats` must be 0 or 1, not {cats[soft[0]]}")
        chosen = _chosen(cats)
        if len(chosen) > 1:
            raise NotARow(f"{len(chosen)} classes of `cats` are 1, not one")
        if not chosen:
            count(tally, "all-zero")
        return {**record, "label": chosen[0] if chosen else None}


def spacy(sample: list[Record]) -> Shape | None:
    """Return the shape of spaCy's training records; None if the records aren't spaCy's.

    Raises:
        SourceError: the classes don't exclude each other, have probabilities, or the format is that of spaCy 2.
    """
    if mostly(
        sample, lambda record: isinstance(record.get("paragraphs"), list) and set(record) <= {"id", "paragraphs"}
    ):
        raise refusal(
            "spaCy 2", "nest texts in paragraphs", "write one {'text': ..., 'label': ...} per paragraph from its 'cats'"
        )
    if not mostly(sample, lambda record: isinstance(record.get("text"), str) and _are_cats(record.get("cats"))):
        return None
    if any("label" in record for record in sample):
        return None  # these are the labels, and `cats` may be scores
    fitting = [record for record in sample if _are_cats(record.get("cats"))]
    if any(value not in (0, 1) for record in fitting for value in record["cats"].values()):
        raise refusal(
            "spaCy",
            "`cats` are probabilities",
            "keep the likeliest by df['label'] = [max(c, key=c.get) for c in df.cats]",
        )
    if are_multi_label(_chosen(record["cats"]) for record in fitting):
        several = next(record for record in fitting if len(_chosen(record["cats"])) > 1)
        raise refusal(
            "spaCy",
            f"their classes don't exclude each other, as in {where(several)}",
            "keep the first by df['label'] = [max(c, key=c.get) for c in df.cats]",
        )
    return Spacy()


def from_pair(value: Any) -> Record | None:
    """Return spaCy's training pair ``[text, {"cats": {...}}]`` as a record; None for any other value."""
    if isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], dict):
        return {"text": value[0], **value[1]} if _are_cats(value[1].get("cats")) else None
    return None


def _are_cats(cats: Any) -> bool:
    return (
        isinstance(cats, dict)
        and bool(cats)
        and all(isinstance(value, int | float) and 0 <= value <= 1 for value in cats.values())
    )


def _chosen(cats: dict[str, float]) -> list[str]:
    return [name for name, value in cats.items() if value == 1]
