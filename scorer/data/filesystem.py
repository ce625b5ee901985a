"""Where the files of a data set lie: here or in a remote store, all behind pyarrow's file system interface.

``s3://`` and ``gs://`` are pyarrow's own; every other protocol (``hf://``, ``https://``, ...) comes through fsspec.
"""

import contextlib
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from scorer.address import has_password, is_web, without_secrets
from scorer.data.remote_errors import Asked, asking, is_missing, why
from scorer.errors import SourceError, UnreachableError, first_line
from scorer.text import nearest

COMPRESSION = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
READ_AHEAD = 1 << 20  # bytes: of a column or a text file, at a time
_EXTRA = ("hf", "http", "https")  # what lossrank[remote] brings
_GCS_RETRIES = "?retry_limit_seconds=30"  # pyarrow's own limit is a quarter of an hour
# What a store may call the state of a file, the surest first. "created" is none: it may outlive an overwrite.
_VERSIONS = (
    "ETag", "etag", "blob_id", "Content-MD5", "md5Hash", "generation", "mtime", "LastModified", "last_modified",
    "Last-Modified",
)  # fmt: skip


@dataclass(frozen=True)
class DataFile:
    """One file of a data set; it prints as its path or as its address without what may be a secret."""

    fs: pafs.FileSystem
    path: str = field(repr=False)
    address: str

    def __str__(self) -> str:
        return self.address

    @property
    def name(self) -> str:
        return PurePosixPath(without_secrets(self.path) if is_web(self.path) else self.path).name

    @property
    def is_remote(self) -> bool:
        return not isinstance(self.fs, pafs.LocalFileSystem)

    def open(self) -> pa.NativeFile:
        """Open it to be read at any place; never mapped, as a mapped file that shrinks kills the process."""
        if self.is_remote:
            return pa.PythonFile(Asked(self.fs.open_input_file, self.path), "r")
        return self.fs.open_input_file(self.path)

    def stream(self) -> pa.NativeFile:
        """Open it to be read from its beginning, decompressed if its name says that it is compressed."""
        codec = COMPRESSION.get(PurePosixPath(self.name).suffix.lower())
        if self.is_remote:
            raw = pa.PythonFile(Asked(partial(self.fs.open_input_stream, compression=None), self.path), "r")
            return pa.input_stream(raw, compression=codec, buffer_size=READ_AHEAD)
        return self.fs.open_input_stream(self.path, compression=codec, buffer_size=READ_AHEAD)

    def version(self) -> dict[str, Any]:
        """Return what tells one state of the file from another without reading it: its size, and more if there is.

        A store's listing that is kept may answer; ``forget_listings`` before a look at what may have changed.

        Raises:
            FileNotFoundError: it is not there.
            OSError: it can't be looked at; ``StoreError``, if it lies in a store.
        """
        if not self.is_remote:
            found = Path(self.path).stat()
            return {"size": found.st_size, "mtime_ns": found.st_mtime_ns, "inode": found.st_ino}
        with asking():
            if isinstance(self.fs, pafs.PyFileSystem):
                known = self.fs.handler.fs.info(self.path)
                size = known.get("size")
            else:
                with self.fs.open_input_file(self.path) as stream:
                    known = {key: value.decode() for key, value in (stream.metadata() or {}).items()}
                    size = stream.size()
        named = next(({key: str(known[key])} for key in _VERSIONS if known.get(key)), {})
        return {"size": size, **named}

    def sha256(self) -> str:
        """Return the SHA-256 of the file's bytes; a remote one is read for it.

        Raises:
            OSError: it can't be read; ``StoreError``, if it lies in a store.
        """
        digest = hashlib.sha256()
        failing = asking() if self.is_remote else contextlib.nullcontext()
        with failing, self.fs.open_input_stream(self.path) as stream:
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
        return DataFile(self.fs, path, without_secrets(self.prefix + path))

    def kind(self, path: str) -> pafs.FileType:
        """Say whether a path is a file, a folder or nothing."""
        if not isinstance(self.fs, pafs.PyFileSystem):
            return self.fs.get_file_info(path).type
        try:
            found = self.fs.handler.fs.info(path)["type"]
        except FileNotFoundError as error:
            if not is_missing(error):
                raise
            return pafs.FileType.NotFound
        return pafs.FileType.Directory if found == "directory" else pafs.FileType.File

    def below(self, folder: str, *, recursive: bool = True) -> list[str]:
        """Return the paths of the files in a folder, in the order of their names, folder by folder.

        The web has no folders: it is the links on one page, and none of them is followed.
        """
        if is_web(folder):
            found = _linked(self.fs.handler.fs, folder)
        else:
            selector = pafs.FileSelector(folder, allow_not_found=True, recursive=recursive)
            found = [info.path for info in self.fs.get_file_info(selector) if info.type == pafs.FileType.File]
        return sorted(found, key=lambda path: path.split("/"))

    def matching(self) -> list[str]:
        """Return the paths of the files that a remote glob matches, in the same order.

        Raises:
            SourceError: a glob of the web asks for more than names on one page.
        """
        parts = self.path.split("/")
        first = next(i for i, part in enumerate(parts) if any(mark in part for mark in "*?["))
        if is_web(self.path) and ("?" in self.path or first < len(parts) - 1 or parts[first] == "**"):
            raise SourceError(
                f"{without_secrets(self.path)} is a glob of the web, which can only be of names on one page, and "
                "without a query, such as https://HOST/FOLDER/*.parquet; name each file"
            )
        pattern, folder = parts[first:], "/".join(parts[:first])
        found = self.below(folder, recursive=len(pattern) > 1 or "**" in pattern)
        return [path for path in found if matches(without_secrets(path).split("/")[first:], pattern)]

    def means(self, path: str) -> bool:
        """Say whether a glob means a path, which need not be there."""
        return matches(path.split("/"), self.path.split("/"))


def forget_listings(files: Iterable[DataFile]) -> None:
    """Have the stores of some files asked anew, each of them told once."""
    for fs in {id(file.fs): file.fs for file in files}.values():
        if isinstance(fs, pafs.PyFileSystem):
            fs.handler.fs.invalidate_cache()


def local_place(data: str) -> Place:
    """Return a path on this machine, or a ``file://`` address, as a place."""
    return Place(_local(), data.removeprefix("file://"), "")


def remote_place(url: str) -> Place:
    """Return the place that an address means.

    Raises:
        SourceError: it holds a password, or its protocol is not known.
        UnreachableError: its store does not answer, or a package for it is not installed.
    """
    scheme = url[: url.index("://")].lower()
    authority, _, key = url[len(scheme) + 3 :].partition("/")
    if has_password(url):
        raise SourceError(
            f"a {scheme}:// address holds a password, which every list of processes shows; leave it out, and give "
            "credentials by the environment (for S3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL)"
        )
    try:
        if scheme in ("s3", "gs", "gcs"):
            fs, root = pafs.FileSystem.from_uri(f"{scheme}://{authority}{'' if scheme == 's3' else _GCS_RETRIES}")
            return Place(fs, f"{root}/{key}" if key else root, f"{scheme}://")
        return _by_fsspec(url, scheme)
    except (OSError, ValueError) as error:
        kind = UnreachableError if isinstance(error, OSError) else SourceError
        raise kind(f"{without_secrets(url)} can't be opened: {why(error, url)}") from error


def _by_fsspec(url: str, scheme: str) -> Place:
    shown = without_secrets(url)
    try:
        import fsspec

        if scheme not in fsspec.available_protocols():
            raise SourceError(
                f"{shown} is of no known protocol{nearest(scheme, fsspec.available_protocols())}; s3://, gs://, hf://, "
                "https:// and those of fsspec are"
            )
        fs, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        line = "`pip install 'lossrank[remote]'`"
        if scheme not in _EXTRA and error.name != "fsspec":
            raise UnreachableError(f"{shown} needs a package that is not installed: {first_line(error)}") from error
        raise UnreachableError(f"{shown} needs packages that are not installed; run {line}") from error
    fs.invalidate_cache()  # the library keeps its file systems, and with them what an earlier look found
    whole = fs.unstrip_protocol(path)
    return Place(pafs.PyFileSystem(pafs.FSSpecHandler(fs)), path, whole.removesuffix(path))


def _linked(web: Any, page: str) -> list[str]:
    """Return the addresses of the files that a page links to."""
    if "?" in page:
        raise SourceError(
            f"{without_secrets(page)} is no file of a known kind, and as a page of links it must have no query; name "
            "the files"
        )
    try:
        return [link for link in web.ls(page, detail=False) if not link.endswith("/")]
    except FileNotFoundError:
        return []


def matches(parts: list[str], pattern: list[str]) -> bool:
    """Say whether a path matches a glob, part by part, as ``glob.glob`` would have it."""
    if not pattern:
        return not parts
    if pattern == ["**"]:
        return bool(parts) and not any(part.startswith(".") for part in parts)
    if pattern[0] == "**":
        visible = next((i for i, part in enumerate(parts) if part.startswith(".")), len(parts))
        return any(matches(parts[i:], pattern[1:]) for i in range(visible + 1))
    hidden = bool(parts) and parts[0].startswith(".") and not pattern[0].startswith(".")
    return bool(parts) and not hidden and fnmatchcase(parts[0], pattern[0]) and matches(parts[1:], pattern[1:])


@cache
def _local() -> pafs.LocalFileSystem:
    return pafs.LocalFileSystem()
