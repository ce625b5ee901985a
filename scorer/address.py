"""Address: a data argument, parsed once: a path or an address, a glob or not, and how it is shown without secrets.

Secrets are the user, the query and the fragment of a web address, and a password in any address. ``without_secrets``
takes them out of one address, ``scrubbed`` out of every address in a text, such as a library's message.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

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


@dataclass(frozen=True)
class Address:
    """A data argument: a path on this machine (also as ``file://``), an address in a remote store, or a hub's name.

    ``given`` may hold secrets and is only for the libraries that open it; ``shown`` holds none.
    """

    given: str = field(repr=False)
    shown: str
    is_remote: bool
    is_web: bool
    is_glob: bool
    has_password: bool

    @classmethod
    def parse(cls, given: str) -> "Address":
        """Parse a data argument, whether or not anything lies there."""
        return cls(
            given, without_secrets(given), is_remote(given), is_web(given), has_magic(given), has_password(given)
        )

    @property
    def has_secret(self) -> bool:
        """Return whether the address has a part that may be secret and isn't shown."""
        return self.shown != self.given

    @property
    def scheme(self) -> str:
        """Return the scheme in lower case, such as ``s3``; empty for a path."""
        return self.given.partition("://")[0].lower() if self.is_remote else ""

    @property
    def path(self) -> str:
        """Return the path of an address on this machine, without ``file://``."""
        return self.given.removeprefix("file://")

    @property
    def is_relative(self) -> bool:
        """Return whether the user gave a path relative to the working directory."""
        return not (self.is_remote or self.given.startswith(("/", "file:")))

    @property
    def absolute(self) -> str:
        """Return the absolute path, or the address without secrets: what run.json keeps."""
        return self.shown if self.is_remote else str(Path(self.path).absolute())


def is_remote(data: str) -> bool:
    """Return whether a data argument is the address of a remote store."""
    return re.match(_SCHEME, data) is not None and not data.startswith("file://")


def is_web(data: str) -> bool:
    """Return whether a data argument is an ``http://`` or ``https://`` address."""
    return data.lower().startswith(("http://", "https://"))


def has_magic(data: str) -> bool:
    """Return whether a path or address is a glob; a web address has its query behind the ``?``."""
    if is_web(data):
        return any(mark in data.partition("?")[0] for mark in "*[")
    return any(mark in data for mark in "*?[")


def has_password(address: str) -> bool:
    """Return whether an address, or another in its chain, holds a password; a password may hold a slash."""
    return any(is_remote(link) and _after_password(link) is not None for link in _CHAINED.split(address))


def without_secrets(address: str) -> str:
    """Return an address without any part that may be secret, and a path unchanged.

    A web address loses its user, query and fragment: any of them may be a token or a signature. In other addresses the
    part before an ``@`` may be a container or a revision; it is taken out only if it holds a password.
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
    """Return the rest of an address behind its user and password, or None if it has no password.

    An address has a password if a colon other than a port's stands before its first slash, with an ``@`` behind it.
    A password may hold any character, so the host is taken to begin behind the last ``@`` of the path.
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
    """Return a text, such as a library's message, with the secrets taken out of every address in it."""
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
