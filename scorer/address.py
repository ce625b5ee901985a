"""Address: parse a data argument (a path or an address, a glob or not), and show it without its secrets.

Secrets are the user, the query and the fragment of a web address, and a password in any address. ``without_secrets``
removes them from one address, ``scrubbed`` from every address in a text, such as a library's message.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]{1,30}://"
_WEB = r"(?i:https?)://"
_PART = r"(?:[^\s'\"<>?#]|['\"](?=\w))"  # one character of an address in a text; the quote in it's.csv does not end it
# The query of a web address may contain anything but whitespace.
_IN_TEXT = re.compile(rf"{_WEB}{_PART}+(?:[?#]\S*)?|{_SCHEME}(?:(?!{_WEB})(?:{_PART}|[?#]))+")
_BEGINS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,30}:/|//")  # the start of an address, even a damaged one
_ASKED = re.compile(r"\?[\w.-]+=\S*")  # a query; whitespace may separate it from the start of its address
_BEHIND = ".,;:)]}'\"<>"  # punctuation that may follow an address in a text
_CHAINED = re.compile(rf"::(?={_SCHEME})")  # as fsspec writes zip://a.csv::https://host/all.zip
# Outside the web, ? may be a wildcard instead: then a file's ending or another wildcard follows it.
_FILE = r"\.(?:parquet|pq|arrow|feather|ipc|[ct]sv|jsonl|ndjson|json)(?:\.\w+)?$"
_QUERY = re.compile(rf"\?[A-Za-z][\w.-]*=(?![^&]*(?:[*\[]|{_FILE})).*", re.DOTALL)
_PORT = re.compile(r"(?:\[[^\]]*\]|[^:]*)(?::([0-9]{1,5}))?")  # a host, such as example.org or [::1], and its port
_NO_PORT = ("s3", "gs", "gcs")  # their addresses begin with a bucket, not with a host and a port
_NO_PASSWORD = ("github",)  # github://owner:repository@branch/file


@dataclass(frozen=True)
class Address:
    """A data argument: a local path (also as ``file://``), an address in a remote store, or a data set's name.

    ``given`` may contain secrets and is only passed to the libraries that open the data; ``shown`` contains none.
    """

    given: str = field(repr=False)
    shown: str
    is_remote: bool
    is_web: bool
    is_glob: bool
    has_password: bool

    @classmethod
    def parse(cls, given: str) -> "Address":
        """Parse a data argument; the data need not exist."""
        return cls(
            given, without_secrets(given), is_remote(given), is_web(given), has_magic(given), has_password(given)
        )

    @property
    def has_secret(self) -> bool:
        """Return whether the address has a part that may be secret, which ``shown`` leaves out."""
        return self.shown != self.given

    @property
    def scheme(self) -> str:
        """Return the scheme in lower case, such as ``s3``; empty for a path."""
        return self.given.partition("://")[0].lower() if self.is_remote else ""

    @property
    def path(self) -> str:
        """Return a local path without the prefix ``file://``."""
        return self.given.removeprefix("file://")

    @property
    def is_relative(self) -> bool:
        """Return whether the user gave a path relative to the working directory."""
        return not (self.is_remote or self.given.startswith(("/", "file:")))

    @property
    def absolute(self) -> str:
        """Return what run.json records: the absolute path, or the address without secrets."""
        return self.shown if self.is_remote else str(Path(self.path).absolute())


def is_remote(data: str) -> bool:
    """Return whether a data argument is the address of a remote store."""
    return re.match(_SCHEME, data) is not None and not data.startswith("file://")


def is_web(data: str) -> bool:
    """Return whether a data argument is an ``http://`` or ``https://`` address."""
    return data.lower().startswith(("http://", "https://"))


def has_magic(data: str) -> bool:
    """Return whether a path or address is a glob; in a web address, ``?`` is no wildcard but begins the query."""
    if is_web(data):
        return any(mark in data.partition("?")[0] for mark in "*[")
    return any(mark in data for mark in "*?[")


def has_password(address: str) -> bool:
    """Return whether an address, or one chained to it with ``::``, contains a password, which may contain a slash."""
    return any(is_remote(link) and _after_password(link) is not None for link in _CHAINED.split(address))


def without_secrets(address: str) -> str:
    """Return an address without any part that may be secret, and a path unchanged.

    A web address loses its user, query and fragment: any of them may be a token or a signature. Other
    addresses lose a query ``?name=value``. The part before their ``@`` may be a container or a revision, and is removed
    only if it contains a password.
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
    """Return the part of an address after its user and password, or None if the address has no password.

    An address has a password if a colon stands before its first slash, does not begin a port, and an ``@`` follows the
    colon. A password may contain any character, so the host is assumed to begin after the last ``@``.
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
    """Return a text, such as a library's message, with the secrets removed from every address in the text."""
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
