"""Messages are checked for the facts that they name, not for their sentences, so that a sentence can be bettered."""

import re

# A path below pytest's temporary folder; its folders are named after the tests, and so hold words of many messages.
_TEMPORARY = r"/(?:[^\s'\"`<>]{0,200}/)?pytest-of-[^\s'\"`<>]*"
_OUTSIDE = rf"(?:(?>{_TEMPORARY})|(?!{_TEMPORARY}).)*?"  # skips such paths as wholes


def facts(*named: object) -> str:
    """Return a pattern of messages that name each of these, in any order and case: values, files, keywords, names.

    A keyword argument is found as an option too: ``shard_rows`` in ``--shard-rows``. A number or word is found as a
    whole: ``4`` isn't in ``409``, ``4,096`` or ``0.4``, nor ``top`` in ``screen_top``. Only a path or a file's name
    (``run/x`` or ``a.csv``) is found in a path of pytest's ``tmp_path``.
    ``pytest.raises(RunError, match=facts("text_column", "txet"))``.
    """
    return r"(?is)\A" + "".join(rf"(?={_before(str(fact))}{_whole(str(fact))})" for fact in named)


def _before(fact: str) -> str:
    """Return the pattern of what may come before a fact: anything, but a word isn't looked for in temporary paths."""
    return ".*" if "/" in fact or re.search(r"\w\.\w", fact) else _OUTSIDE


def _whole(fact: str) -> str:
    """Return the pattern of one fact; if it begins or ends with a letter or digit, no word goes on there.

    ``_``, and ``-``, ``.`` and ``,`` between letters or digits, are parts of a word.
    """
    pattern = re.escape(fact).replace("_", "[-_]").replace(r"\-", "[-_]")
    before = r"(?<!\w)(?<!\w[-.,])" if fact[:1].isalnum() else ""
    after = r"(?!\w|[-.,]\w)" if fact[-1:].isalnum() else ""
    return f"{before}{pattern}{after}"


def tells(message: object, *named: object) -> bool:
    """Return whether a message names each of these facts; see ``facts``."""
    return re.search(facts(*named), str(message)) is not None


def counts(message: str) -> list[int]:
    """Return the whole numbers of a message in their order: ``[1200, 3]`` of "1,200 rows, 3 of them new"."""
    return [int(number.replace(",", "")) for number in re.findall(r"(?<![\w.,])\d+(?:,\d{3})*(?![\w.])", message)]
