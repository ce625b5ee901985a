"""Where the files of a data set lie: here or in a remote store, all behind pyarrow's file system interface.

``s3://`` and ``gs://`` are pyarrow's own; every other protocol (``hf://``, ``https://``, ...) comes through fsspec.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from scorer.errors import SourceError, nearest

COMPRESSION = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
READ_AHEAD = 1 << 20  # bytes: of a column or a text file, at a time
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_EXTRA = ("hf", "http", "https")  # what lossrank[remote] brings
_GCS_RETRIES = "?retry_limit_seconds=30"  # pyarrow's own limit is a quarter of an hour
# What a store may call the state of a file, the surest first.
_VERSIONS = (
    "ETag", "etag", "blob_id", "Content-MD5", "md5Hash", "generation", "mtime", "LastModified", "last_modified",
    "Last-Modified", "created",
)  # fmt: skip
_REASONS = (
    ("no permission; check your credentials", ("ACCESS_DENIED", "Forbidden", "Unauthorized", "OAuth2", "PERMISSION")),
    ("no such bucket", ("NO_SUCH_BUCKET", "bucket does not exist")),
    ("its server gives no parts of a file; download it first", ("range requests",)),
    ("no connection; check the network and the address", ("NETWORK_CONNECTION", "resolve", "onnect", "imeout")),
)


@dataclass(frozen=True)
class DataFile:
    """One file of a data set; it prints as its path or address."""

    fs: pafs.FileSystem
    path: str
    address: str

    def __str__(self) -> str:
        return self.address

    @property
    def name(self) -> str:
        return PurePosixPath(
            self.path.partition("?")[0] if self.path.startswith(("http://", "https://")) else self.path
        ).name

    @property
    def is_remote(self) -> bool:
        return not isinstance(self.fs, pafs.LocalFileSystem)

    def open(self) -> pa.NativeFile:
        """Open it to be read at any place; never mapped, as a mapped file that shrinks kills the process."""
        return self.fs.open_input_file(self.path)

    def stream(self) -> pa.NativeFile:
        """Open it to be read from its beginning, decompressed if its name says that it is compressed."""
        codec = COMPRESSION.get(PurePosixPath(self.name).suffix.lower())
        return self.fs.open_input_stream(self.path, compression=codec, buffer_size=READ_AHEAD)

    def version(self) -> dict[str, Any]:
        """Return what tells one state of the file from another without reading it: its size, and more if there is.

        Raises:
            OSError, or what the store's library raises: it is not there, or the store can't be asked.
        """
        if not self.is_remote:
            found = Path(self.path).stat()
            return {"size": found.st_size, "mtime_ns": found.st_mtime_ns, "inode": found.st_ino}
        if isinstance(self.fs, pafs.PyFileSystem):
            self.fs.handler.fs.invalidate_cache()
            known = self.fs.handler.fs.info(self.path)
            size = known.get("size")
        else:
            with self.open() as stream:
                known = {key: value.decode() for key, value in (stream.metadata() or {}).items()}
                size = stream.size()
        named = next(({key: str(known[key])} for key in _VERSIONS if known.get(key)), {})
        return {"size": size, **named}

    def sha256(self) -> str:
        """Return the SHA-256 of the file's bytes; a remote one is read for it."""
        digest = hashlib.sha256()
        with self.fs.open_input_stream(self.path) as stream:
            while part := stream.read(READ_AHEAD):
                digest.update(part)
        return digest.hexdigest()


@dataclass(frozen=True)
class Place:
    """A path in a file system: a file, a folder, a glob or nothing."""

    fs: pafs.FileSystem
    path: str
    prefix: str  # what makes an address of a path

    def file(self, path: str) -> DataFile:
        return DataFile(self.fs, path, self.prefix + path)

    def kind(self, path: str) -> pafs.FileType:
        """Say whether a path is a file, a folder or nothing."""
        if not isinstance(self.fs, pafs.PyFileSystem):
            return self.fs.get_file_info(path).type
        try:
            found = self.fs.handler.fs.info(path)["type"]
        except FileNotFoundError as error:
            if error.__cause__ is not None and getattr(error.__cause__, "status", None) != 404:
                raise  # that is how fsspec tells of any failure of HTTP
            return pafs.FileType.NotFound
        return pafs.FileType.Directory if found == "directory" else pafs.FileType.File

    def below(self, folder: str, *, recursive: bool = True) -> list[str]:
        """Return the paths of the files in a folder, in the order of their names, folder by folder."""
        selector = pafs.FileSelector(folder, allow_not_found=True, recursive=recursive)
        found = [info.path for info in self.fs.get_file_info(selector) if info.type == pafs.FileType.File]
        return sorted(found, key=lambda path: path.split("/"))

    def matching(self) -> list[str]:
        """Return the paths of the files that a remote glob matches, in the same order."""
        parts = self.path.split("/")
        first = next(i for i, part in enumerate(parts) if has_magic(part, self.prefix))
        pattern, folder = parts[first:], "/".join(parts[:first])
        found = self.below(folder, recursive=len(pattern) > 1 or "**" in pattern)
        return [path for path in found if _matches(path.split("/")[first:], pattern)]


def without_secrets(data: str) -> str:
    """Return an address without what may be a user's name, a password or a signature; a path as it is."""
    return re.sub(r"://[^?#]*@", "://...@", data).partition("?")[0] if is_remote(data) else data


def is_remote(data: str) -> bool:
    """Say whether a data argument is the address of a remote store."""
    return _URL.match(data) is not None and not data.startswith("file://")


def has_magic(data: str, prefix: str = "") -> bool:
    """Say whether a path or address is a glob; what follows a ``?`` in a web address is its query."""
    return any(mark in data for mark in ("*[" if (prefix or data).startswith(("http://", "https://")) else "*?["))


def local_place(data: str) -> Place:
    """Return a path on this machine, or a ``file://`` address, as a place."""
    return Place(_local(), data.removeprefix("file://"), "")


def remote_place(url: str) -> Place:
    """Return the place that an address means.

    Raises:
        SourceError: it holds a password, its protocol is not known, or a package is not installed.
    """
    scheme = url[: url.index("://")].lower()
    authority, _, key = url[len(scheme) + 3 :].partition("/")
    # A secret may hold a slash itself; in the path of a web address a colon and an @ are nothing special.
    if ":" in (authority if scheme in ("http", "https") else url[len(scheme) + 3 :]).rpartition("@")[0]:
        raise SourceError(
            f"a {scheme}:// address holds a password, which run.json would keep; leave it out, and give credentials "
            "by the environment (for S3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL)"
        )
    try:
        if scheme in ("s3", "gs", "gcs"):
            fs, root = pafs.FileSystem.from_uri(f"{scheme}://{authority}{'' if scheme == 's3' else _GCS_RETRIES}")
            return Place(fs, f"{root}/{key}" if key else root, f"{scheme}://")
        return _by_fsspec(url, scheme)
    except (OSError, ValueError) as error:
        raise SourceError(f"{url} can't be opened: {why(error)}") from error


def _by_fsspec(url: str, scheme: str) -> Place:
    try:
        import fsspec

        if scheme not in fsspec.available_protocols():
            raise SourceError(
                f"{url} is of no known protocol{nearest(scheme, fsspec.available_protocols())}; s3://, gs://, hf://, "
                "https:// and those of fsspec are"
            )
        fs, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        line = "`pip install 'lossrank[remote]'`"
        if scheme not in _EXTRA and error.name != "fsspec":
            raise SourceError(f"{url} needs a package that is not installed: {first_line(error)}") from error
        raise SourceError(f"{url} needs packages that are not installed; run {line}") from error
    whole = fs.unstrip_protocol(path)
    return Place(pafs.PyFileSystem(pafs.FSSpecHandler(fs)), path, whole.removesuffix(path))


def why(error: BaseException) -> str:
    """Return in one line what went wrong with a store, as one of the usual reasons where it is one."""
    text = "; ".join(str(each) for each in _chain(error))
    said = first_line(error)
    for reason, words in _REASONS:
        if any(word in text for word in words):
            return f"{reason} ({said})"
    return said


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _matches(parts: list[str], pattern: list[str]) -> bool:
    """Say whether a path matches a glob, part by part, as ``glob.glob`` would have it."""
    if not pattern:
        return not parts
    if pattern == ["**"]:
        return bool(parts) and not any(part.startswith(".") for part in parts)
    if pattern[0] == "**":
        visible = next((i for i, part in enumerate(parts) if part.startswith(".")), len(parts))
        return any(_matches(parts[i:], pattern[1:]) for i in range(visible + 1))
    hidden = bool(parts) and parts[0].startswith(".") and not pattern[0].startswith(".")
    return bool(parts) and not hidden and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


@cache
def _local() -> pafs.LocalFileSystem:
    return pafs.LocalFileSystem()
