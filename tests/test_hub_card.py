"""The card that a push leaves on the hub: what people wrote there, and what lossrank did."""

import logging

import pytest
import yaml

from cli.publish.card import END
from cli.publish.folder import MARK
from cli.publish.hub_card import merged_card, read_card
from scorer import RunError

THEIRS = b"""---
annotations_creators: [crowdsourced]
license: cc-by-4.0
language: en
tags: news
task_categories: [text-classification, summarization]
size_categories: [10K<n<100K]
configs:
- {config_name: default, data_files: [{split: train, path: data/train-*}, {split: dev, path: data/dev-*}]}
dataset_info: {features: [{name: text, dtype: string}]}
train-eval-index: [{task: text-classification}]
---
# News

Please cite (Somebody 2020).
"""


def ours(words: str, size: str = "n<1K") -> str:
    head = {
        "task_categories": ["text-classification"],
        "tags": ["lossrank", "corrected-labels"],
        "size_categories": [size],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "elsewhere/*"}]}],
    }
    return f"---\n{yaml.safe_dump(head)}---\n\n{MARK}\n\n# {words}\n\n{END}\n"


def pushed(words: str, there: bytes, size: str = "n<1K") -> bytes:
    return merged_card(ours(words, size), read_card(there, "me/news")).encode()


def parts(card: bytes) -> tuple[dict[str, object], str]:
    _, head, text = card.decode().split("---\n", 2)
    return yaml.safe_load(head), text


def test_a_card_that_people_wrote_keeps_its_head_and_text_and_has_our_part_once() -> None:
    card = pushed("First", THEIRS)
    head, text = parts(card)
    before, _ = parts(THEIRS)
    assert head == before | {"tags": ["news", "lossrank", "corrected-labels"]}
    assert text == f"# News\n\nPlease cite (Somebody 2020).\n\n{MARK}\n\n# First\n\n{END}\n"
    assert pushed("First", card) == card


def test_a_later_push_replaces_our_part_where_it_is() -> None:
    head, text = parts(pushed("First", THEIRS))
    edited = text.replace("(Somebody 2020)", "(Somebody 2021)") + "\n## Contact\n"
    _, text = parts(pushed(r"Second \1", f"---\n{yaml.safe_dump(head)}---\n{edited}".encode()))
    assert text == f"# News\n\nPlease cite (Somebody 2021).\n\n{MARK}\n\n# Second \\1\n\n{END}\n\n## Contact\n"


def test_a_card_of_ours_alone_is_replaced_but_for_what_was_added_to_its_head() -> None:
    first = pushed("First", b"")
    head, _ = parts(first)
    assert "configs" not in head
    licensed = first.replace(b"---\n", b"---\nlicense: mit\n", 1)
    second_head, text = parts(pushed("Second", licensed, "1K<n<10K"))
    assert second_head == head | {"license": "mit", "size_categories": ["1K<n<10K"]}
    assert text.strip() == f"{MARK}\n\n# Second\n\n{END}"


@pytest.mark.parametrize("cut", [END, MARK])
def test_a_part_without_one_of_its_marks_is_somebodys_words(cut: str) -> None:
    _, text = parts(pushed("First", THEIRS))
    words = text.replace(cut, "")
    card = pushed("Third", pushed("Second", f"---\n{{}}\n---\n{words}".encode()))
    assert parts(card)[1] == f"{words.rstrip()}\n\n{MARK}\n\n# Third\n\n{END}\n"


def test_a_card_without_a_head_gets_one_and_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    head, text = parts(pushed("First", b"# News\r\n"))
    assert head["tags"] == ["lossrank", "corrected-labels"]
    assert text.strip().startswith("# News")
    assert not caplog.records


@pytest.mark.parametrize("content", [b"---\ntags: [news\n---\n", b"---\n- news\n---\n", b"---\nlicense: \xff\n---\n"])
def test_a_card_that_cant_be_read_is_one_line(content: bytes) -> None:
    with pytest.raises(RunError, match=r"^README.md of me/news on the hub can't be read \(.*\); mend it there$"):
        read_card(content, "me/news")
