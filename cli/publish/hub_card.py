"""The card that is pushed: ours as a part of the one that is on the hub, where somebody may have written."""

import re
from typing import Any

from cli.publish.card import END
from cli.publish.folder import MARK
from scorer import RunError
from scorer.failures import first_line

_OURS = re.compile(rf"{re.escape(MARK)}(?:(?!{re.escape(MARK)}).)*?{re.escape(END)}", re.DOTALL)
_UNITED = ("tags", "task_categories")
_OF_SPLITS = ("configs", "dataset_info")  # `push_to_hub` adds what belongs to the pushed one


def read_card(content: bytes, name: str) -> Any:
    """Return a data set's card on the hub as huggingface_hub's DatasetCard.

    Raises:
        RunError: it is not UTF-8, or its head is no YAML mapping.
    """
    from huggingface_hub import DatasetCard

    try:
        text = content.decode()
        has_head = text.lstrip().startswith("---")
        return DatasetCard(text if has_head else f"---\n{{}}\n---\n\n{text}")  # the library warns of none
    except Exception as error:  # YAML's errors among them
        raise RunError(f"README.md of {name} on the hub can't be read ({first_line(error)}); mend it there") from error


def merged_card(ours: str, there: Any) -> str:
    """Return a card of ours with all that a card on the hub says beside what an earlier push wrote.

    Its head keeps its values and gets those that it lacks, its text keeps its place around our part. Where there is no
    text but ours, our values of the head are the newer ones.
    """
    from huggingface_hub import DatasetCard

    card: Any = DatasetCard(ours)
    part = card.text.strip()
    is_ours = not _OURS.sub("", there.text).strip()
    for key, value in card.data.to_dict().items():
        said = there.data.get(key)
        if key in _UNITED:
            there.data[key] = _united(said, value)
        elif key not in _OF_SPLITS and (said is None or is_ours):
            there.data[key] = value
    if _OURS.search(there.text):
        there.text = _OURS.sub(lambda _: part, there.text, count=1)
    else:
        there.text = f"{there.text.rstrip()}\n\n{part}\n"
    return str(there)


def _united(said: Any, more: list[str]) -> list[Any]:
    """Return a value of the head, which may be one word, with those of ``more`` that are not in it."""
    found = [] if said is None else said if isinstance(said, list) else [said]
    return [*found, *(one for one in more if one not in found)]
