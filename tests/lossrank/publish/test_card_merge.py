"""A card that is there already, on the hub or on disk: what people wrote in it, and what lossrank did."""

import logging

import pytest
import yaml

from lossrank.publish.card_merge import END, MARK, merged_card, read_card
from scorer import RunError
from tests.support.facts import facts

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
    return merged_card(ours(words, size), read_card(there, "README.md"), is_whole=False).encode()


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


def test_the_mark_that_some_editors_put_before_all_does_not_hide_the_head() -> None:
    head, text = parts(pushed("First", b"\xef\xbb\xbf" + THEIRS))
    assert (head["license"], text[:7]) == ("cc-by-4.0", "# News\n")


def test_a_card_without_a_head_gets_one_and_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    head, text = parts(pushed("First", b"# News\r\n"))
    assert head["tags"] == ["lossrank", "corrected-labels"]
    assert text.strip().startswith("# News")
    assert not caplog.records


def test_our_part_alone_is_taken_from_a_card_on_disk_that_people_wrote_in() -> None:
    local = f"Local words\n\n{MARK}\n\n# Second\n\n{END}\n\nMore of them\n"
    local_head = "license: mit\ntags: lossrank\nsize_categories: [n<1K]\ntrain-eval-index: [{task: other}]\n"
    ours_on_disk = f"---\n{local_head}---\n\n{local}"

    def onto(there: bytes) -> tuple[dict[str, object], str]:
        return parts(merged_card(ours_on_disk, read_card(there, "README.md"), is_whole=False).encode())

    first = pushed("First", THEIRS)
    head, text = onto(first)
    assert text == parts(first)[1].replace("First", "Second")
    assert (head["license"], head["train-eval-index"]) == ("cc-by-4.0", [{"task": "text-classification"}])
    for there in (b"", pushed("First", b"")):
        head, text = onto(there)
        assert text.strip() == local.strip()
        assert (head["license"], head["train-eval-index"]) == ("mit", [{"task": "other"}])
    head, _ = onto(pushed("First", b"---\nlicense: apache-2.0\ntags: news\n---\n"))
    assert (head["license"], head["tags"]) == ("apache-2.0", ["news", "lossrank", "corrected-labels"])


def test_a_card_of_a_whole_folder_says_of_splits_and_size_what_the_new_one_says() -> None:
    head, text = parts(
        merged_card(ours("Second"), read_card(pushed("First", THEIRS), "README.md"), is_whole=True).encode()
    )
    assert "dataset_info" not in head
    assert head["configs"] == [{"config_name": "default", "data_files": [{"split": "train", "path": "elsewhere/*"}]}]
    assert (head["size_categories"], head["license"]) == (["n<1K"], "cc-by-4.0")
    assert text == parts(pushed("Second", THEIRS))[1]


@pytest.mark.parametrize("content", [b"---\ntags: [news\n---\n", b"---\n- news\n---\n", b"---\nlicense: \xff\n---\n"])
def test_a_card_that_cant_be_read_is_one_line(content: bytes) -> None:
    with pytest.raises(RunError, match=facts("out/README.md")):
        read_card(content, "out/README.md")
