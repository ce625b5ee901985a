"""Merge our data set card into an existing card, and keep the text that people wrote into the existing card."""

import re
from typing import Any

from scorer import RunError
from scorer.errors import first_line

MARK = "<!-- written by lossrank apply -->"  # a folder may be replaced only if its card has this mark
END = "<!-- end of what lossrank apply wrote -->"  # a later card replaces the text from MARK to END
_OURS = re.compile(rf"{re.escape(MARK)}(?:(?!{re.escape(MARK)}).)*?{re.escape(END)}", re.DOTALL)
_UNITED = ("tags", "task_categories")
_OF_SPLITS = ("configs", "dataset_info")
_SIZE = "size_categories"


def read_card(content: bytes, place: str) -> Any:
    """Return a data set's card as huggingface_hub's DatasetCard; ``place`` names the card in error messages.

    Raises:
        RunError: the card is not UTF-8.
        RunError: the card's head is not a YAML mapping.
    """
    from huggingface_hub import DatasetCard

    try:
        text = content.decode("utf-8-sig")
        has_head = text.lstrip().startswith("---")
        return DatasetCard(text if has_head else f"---\n{{}}\n---\n\n{text}")  # without a head the library warns
    except Exception as error:  # YAML's errors among them
        raise RunError(f"{place} can't be read ({first_line(error)}); correct the card there") from error


def merged_card(ours: str, there: Any, *, is_whole: bool) -> str:
    """Return the existing card ``there`` with our part replaced by ``ours``, or with ``ours`` added.

    The existing head keeps its values and gets the values that it lacks; the existing text around our part is kept. If
    the existing card has no text except our part, the text and the size come from ``ours``. If ``is_whole`` is true,
    ``ours`` describes the whole data set, not one of its splits, so the splits and the size in the head come from
    ``ours``.
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
    """Return the existing card's head with the values that ``ours`` adds; ``has_words`` tells if people wrote text."""
    head = {key: value for key, value in there.items() if not (is_whole and key in (*_OF_SPLITS, _SIZE))}
    for key, value in ours.items():
        if key in _UNITED:
            said = _listed(head.get(key))
            head[key] = [*said, *(one for one in _listed(value) if one not in said)]
        elif key in _OF_SPLITS and not is_whole:
            continue  # `push_to_hub` adds the entries of the pushed split
        elif key not in head or (key == _SIZE and not has_words):
            head[key] = value
    return head


def _listed(value: Any) -> list[Any]:
    """Return a value of the head as a list: a single value as a list of one, None as an empty list."""
    return value if isinstance(value, list) else [] if value is None else [value]
