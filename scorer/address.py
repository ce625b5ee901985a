"""Addresses of data: which are remote, which are globs, and what of one may be a secret."""

import re

_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]{1,30}://"
_WEB = r"(?i:https?)://"
_PART = r"(?:[^\s'\"<>?#]|['\"](?=\w))"  # of an address in a text; a quote as in it's.csv is no end
# A web address' query may hold anything but a blank.
_IN_TEXT = re.compile(rf"{_WEB}{_PART}+(?:[?#]\S*)?|{_SCHEME}(?:(?!{_WEB})(?:{_PART}|[?#]))+")
_BEGINS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,30}:/|//")  # an address, mistyped or as a path
_ASKED = re.compile(r"\?[\w.-]+=\S*")  # a query; a blank may stand between it and where its address begins
_BEHIND = ".,;:)]}'\"<>"  # may stand behind an address
_CHAINED = re.compile(rf"::(?={_SCHEME})")  # as fsspec writes zip://a.csv::https://host/all.zip
# Elsewhere than on the web a lone ? is part of a glob, which ends as a file does or has another wildcard.
_FILE = r"\.(?:parquet|pq|arrow|feather|ipc|[ct]sv|jsonl|ndjson|json)(?:\.\w+)?$"
_QUERY = re.compile(rf"\?[A-Za-z][\w.-]*=(?![^&]*(?:[*\[]|{_FILE})).*", re.DOTALL)
_PORT = re.compile(r"(?:\[[^\]]*\]|[^:]*)(?::([0-9]{1,5}))?")  # a host, of which [::1] is one, and its port
_NO_PORT = ("s3", "gs", "gcs")  # they begin with a bucket
_NO_PASSWORD = ("github",)  # github://owner:repository@branch/file


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


def has_password(address: str) -> bool:
    """Say whether an address, or another of its chain, holds a password, which may hold a slash itself."""
    return any(is_remote(link) and _after_password(link) is not None for link in _CHAINED.split(address))


def without_secrets(address: str) -> str:
    """Return an address without what may be a secret; a path as it is.

    Of a web address the user, the query and the fragment go: any of them may be a token or a signature. Elsewhere what
    stands before an ``@`` may be a container or a revision, and goes only if there is a password in it.
    """
    if not is_remote(address):
        return address
    if is_web(address):
        scheme, _, rest = address.partition("://")
        found = _after_password(address)
        host, slash, path = re.split(r"[?#]", rest if found is None else found, maxsplit=1)[0].partition("/")
        return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
    first, *chained = _CHAINED.split(address)
    if (found := _after_password(first)) is not None:
        first = f"{first.partition('://')[0]}://{found}"
    return "::".join([_QUERY.sub("", first), *map(without_secrets, chained)])


def _after_password(address: str) -> str | None:
    """Return what is behind the user and the password of one address, None if it has no password.

    It has one if there is a colon before its first slash, other than a port's, and an ``@`` behind that. Where the host
    begins is then not sure, as a password may hold anything: it is taken to be behind the last ``@`` of the path.
    """
    scheme, _, rest = address.partition("://")
    authority = re.split(r"[/?#]" if is_web(address) else "/", rest, maxsplit=1)[0]
    user, _, host = authority.rpartition("@")
    port = None if scheme in _NO_PORT else _PORT.fullmatch(host)
    has_port = port is not None and int(port[1] or 0) < 1 << 16
    behind = "@" in rest[len(authority) :] and not has_port and ":" in host
    if scheme in _NO_PASSWORD or not (":" in user or behind):
        return None
    path = re.split(r"[?#]", rest, maxsplit=1)[0] if is_web(address) else rest
    return path.rpartition("@")[2] if "@" in path else ""


def scrubbed(text: str) -> str:
    """Return a text, such as a library's message, with every address in it as ``without_secrets`` has it."""
    text = _IN_TEXT.sub(_scrubbed, text)
    if (found := _BEGINS.search(text)) is None:
        return text
    return text[: found.start()] + _ASKED.sub(_without_query, text[found.start() :])


def _scrubbed(found: re.Match[str]) -> str:
    address = found[0].rstrip(_BEHIND)
    return without_secrets(address) + found[0][len(address) :]


def _without_query(found: re.Match[str]) -> str:
    query = found[0].rstrip(_BEHIND)
    return found[0][len(query) :] if _QUERY.search(query) else found[0]
