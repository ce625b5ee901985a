"""Addresses of data: which are remote, which are globs, and what of one may be a secret."""

import re

_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]+://"
_IN_TEXT = re.compile(rf"({_SCHEME}[^\s'\"<>]+?)([.,;:)]*)(?=[\s'\"<>]|$)")
_CHAINED = re.compile(rf"::(?={_SCHEME})")  # as fsspec writes zip://a.csv::https://host/all.zip
_QUERY = re.compile(r"\?[\w.-]+=.*", re.DOTALL)  # elsewhere than on the web a lone ? is part of a glob


def is_remote(data: str) -> bool:
    """Say whether a data argument is the address of a remote store."""
    return re.match(_SCHEME, data) is not None and not data.startswith("file://")


def is_web(data: str) -> bool:
    """Say whether a data argument is an address of the web."""
    return data.lower().startswith(("http://", "https://"))


def has_magic(data: str) -> bool:
    """Say whether a path or address is a glob; what follows a ``?`` in a web address is its query."""
    if is_web(data):
        return any(mark in data.partition("?")[0] for mark in "*[")
    return any(mark in data for mark in "*?[")


def has_password(url: str) -> bool:
    """Say whether an address holds a password; it may hold a slash itself, but not on the web."""
    rest = url.partition("://")[2]
    return ":" in (rest.partition("/")[0] if is_web(url) else rest).rpartition("@")[0]


def without_secrets(address: str) -> str:
    """Return an address without what may be a secret; a path as it is.

    Of a web address the user, the query and the fragment go: any of them may be a token or a signature. Elsewhere what
    stands before an ``@`` may be a container or a revision, and goes only if there is a password in it.
    """
    if not is_remote(address):
        return address
    if is_web(address):
        scheme, _, rest = re.split(r"[?#]", address, maxsplit=1)[0].partition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
    first, *chained = _CHAINED.split(address)
    if has_password(first):
        scheme, _, rest = first.partition("://")
        first = f"{scheme}://{rest.rpartition('@')[2]}"
    return "::".join([_QUERY.sub("", first), *map(without_secrets, chained)])


def scrubbed(text: str) -> str:
    """Return a text, such as a library's message, with every address in it as ``without_secrets`` has it."""
    return _IN_TEXT.sub(lambda found: without_secrets(found[1]) + found[2], text)
