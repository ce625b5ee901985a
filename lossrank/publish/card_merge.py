"""A card where there is one already: ours as a part of it, as somebody may have written there."""

import re
from typing import Any

from scorer import RunError
from scorer.errors import first_line

MARK = "<!-- written by lossrank apply -->"  # in the card of each folder that is ours to replace
END = "<!-- end of what lossrank apply wrote -->"  # from MARK to here a later card replaces an earlier one
_OURS = re.compile(rf"{re.escape(MARK)}(?:(?!{re.escape(MARK)}).)*?{re.escape(END)}", re.DOTALL)
_UNITED = ("tags", "task_categories")
_OF_SPLITS = ("configs", "dataset_info")
_SIZE = "size_categories"


def read_card(content: bytes, place: str) -> Any:
    """Return a data set's card as huggingface_hub's DatasetCard; ``place`` is what an error calls it.

    Raises:
        RunError: it is not UTF-8, or its head is no YAML mapping.
    """
    from huggingface_hub import DatasetCard

    try:
        text = content.decode("utf-8-sig")
        has_head = text.lstrip().startswith("---")
        return DatasetCard(text if has_head else f"---\n{{}}\n---\n\n{text}")  # the library warns of none
    except Exception as error:  # YAML's errors among them
        raise RunError(f"{place} can't be read ({first_line(error)}); mend it there") from error


def merged_card(ours: str, there: Any, *, is_whole: bool) -> str:
    """Return a card of ours with all that another one says beside what was ours in it.

    Its head keeps its values and gets those that it lacks, its text keeps its place around our part. Where it has no
    text but ours, the whole text is the new one's and so is the size. ``is_whole`` says that what is described is all
    of the data set, not one of its splits, so that what the head says of splits and size is ours.
    """
    from huggingface_hub import DatasetCard

    card: Any = DatasetCard(ours)
    text = card.text.strip()
    words = _OURS.sub("", there.text).strip()
    head = _head(card.data.to_dict(), there.data.to_dict(), is_whole=is_whole, has_words=bool(words))
    there.data = type(there.data)(**head)
    if not words:
        there.text = f"\n{text}\n"
        return str(there)
    found = _OURS.search(text)
    part = found[0] if found else text
    if _OURS.search(there.text):
        there.text = _OURS.sub(lambda _: part, there.text, count=1)
    else:
        there.text = f"{there.text.rstrip()}\n\n{part}\n"
    return str(there)


def _head(ours: dict[str, Any], there: dict[str, Any], *, is_whole: bool, has_words: bool) -> dict[str, Any]:
    """Return the head of another card with what ours adds to it."""
    head = {key: value for key, value in there.items() if not (is_whole and key in (*_OF_SPLITS, _SIZE))}
    for key, value in ours.items():
        if key in _UNITED:
            said = _listed(head.get(key))
            head[key] = [*said, *(one for one in _listed(value) if one not in said)]
        elif key in _OF_SPLITS and not is_whole:
            continue  # `push_to_hub` adds what belongs to the pushed one
        elif key not in head or (key == _SIZE and not has_words):
            head[key] = value
    return head


def _listed(value: Any) -> list[Any]:
    """Return a value of the head, which may be one word or nothing, as a list."""
    return value if isinstance(value, list) else [] if value is None else [value]
