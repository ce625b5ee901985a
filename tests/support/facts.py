"""Messages are checked for the facts that they name, not for their sentences, so that a sentence can be bettered."""

import re


def facts(*named: object) -> str:
    """Return a pattern of messages that name each of these, in any order and case: values, files, keywords, names.

    A keyword argument is found as an option too: ``shard_rows`` in ``--shard-rows``. A number or word is found as a
    whole: ``4`` isn't in ``409``. ``pytest.raises(RunError, match=facts("text_column", "txet"))``.
    """
    return r"(?is)\A" + "".join(rf"(?=.*{_whole(str(fact))})" for fact in named)


def _whole(fact: str) -> str:
    """Return the pattern of one fact, which has no letter or digit next to its ends if these are such."""
    pattern = re.escape(fact).replace("_", "[-_]").replace(r"\-", "[-_]")
    before = r"(?<![^\W_])" if fact[:1].isalnum() else ""
    after = r"(?![^\W_])" if fact[-1:].isalnum() else ""
    return f"{before}{pattern}{after}"


def tells(message: object, *named: object) -> bool:
    """Return whether a message names each of these facts; see ``facts``."""
    return re.search(facts(*named), str(message)) is not None


def counts(message: str) -> list[int]:
    """Return the whole numbers of a message in their order: ``[1200, 3]`` of "1,200 rows, 3 of them new"."""
    return [int(number.replace(",", "")) for number in re.findall(r"(?<![\w.,])\d+(?:,\d{3})*(?![\w.])", message)]
