"""DataFile and Place: the files of a data set, on this machine or in a remote store, read through pyarrow.

``s3://`` and ``gs://`` use pyarrow's own file systems; other protocols (``hf://``, ``https://``, ...) use fsspec's.
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

from scorer.address import Address, is_web, without_secrets
from scorer.data.remote_errors import Asked, asking, is_missing, why
from scorer.errors import SourceError, UnreachableError, first_line
from scorer.text import nearest

COMPRESSION = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
READ_AHEAD = 1 << 20  # bytes of a column or a text file read at a time
_EXTRA = ("hf", "http", "https")  # the protocols whose packages lossrank[remote] installs
_GCS_RETRIES = "?retry_limit_seconds=30"  # pyarrow would retry for a quarter of an hour
# The keys under which stores give a file's version, the most reliable first. "created" is not among them, because it
# may stay the same when a file is overwritten.
_VERSIONS = (
    "ETag", "etag", "blob_id", "Content-MD5", "md5Hash", "generation", "mtime", "LastModified", "last_modified",
    "Last-Modified",
)  # fmt: skip


@dataclass(frozen=True)
class DataFile:
    """One file of a data set; ``str()`` gives its path, or its address without secrets.

    ``partitions`` has the columns that the names of its folders give, ``label=World`` for example, with their values.
    """

    fs: pafs.FileSystem
    path: str = field(repr=False)
    address: str
    partitions: tuple[tuple[str, str | None], ...] = ()

    def __str__(self) -> str:
        return self.address

    @property
    def name(self) -> str:
        return PurePosixPath(self.address if is_web(self.path) else self.path).name

    @property
    def is_remote(self) -> bool:
        return not isinstance(self.fs, pafs.LocalFileSystem)

    @property
    def absolute(self) -> str:
        """Return what run.json records: the absolute path, or the address without secrets."""
        return self.address if self.is_remote else str(Path(self.path).absolute())

    @property
    def folder(self) -> str:
        """Return the path of the folder in which the file lies."""
        return self.path.rpartition("/")[0] if self.is_remote else str(Path(self.path).parent)

    @property
    def identity(self) -> str:
        """Return what besides the file's bytes decides which rows it has, empty for most files."""
        return repr(self.partitions) if self.partitions else ""

    def open(self) -> pa.NativeFile:
        """Open the file for random access, not memory-mapped, because a mapped file that shrinks kills the process."""
        if self.is_remote:
            return pa.PythonFile(Asked(self.fs.open_input_file, self.path), "r")
        return self.fs.open_input_file(self.path)

    def stream(self) -> pa.NativeFile:
        """Open the file as a stream, which is decompressed if the file's name has the ending of a compression."""
        codec = COMPRESSION.get(PurePosixPath(self.name).suffix.lower())
        if self.is_remote:
            raw = pa.PythonFile(Asked(partial(self.fs.open_input_stream, compression=None), self.path), "r")
            return pa.input_stream(raw, compression=codec, buffer_size=READ_AHEAD)
        return self.fs.open_input_stream(self.path, compression=codec, buffer_size=READ_AHEAD)

    def version(self) -> dict[str, Any]:
        """Return the file's size and modification time, or its size and its version in a store (such as an ETag).

        The file is not read. A version may come from a cached listing; call ``forget_listings`` first to see changes.

        Raises:
            FileNotFoundError: the file is missing.
            OSError: the file can't be inspected; ``StoreError`` if it lies in a store.
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
        """Return the SHA-256 of the file's bytes; a remote file is downloaded to compute the hash.

        Raises:
            OSError: the file can't be read; ``StoreError`` if it lies in a store.
        """
        digest = hashlib.sha256()
        failing = asking() if self.is_remote else contextlib.nullcontext()
        with failing, self.fs.open_input_stream(self.path) as stream:
            while part := stream.read(READ_AHEAD):
                digest.update(part)
        return digest.hexdigest()


@dataclass(frozen=True)
class Place:
    """A path in a file system: the path of a file or folder, which may be missing, or a glob."""

    fs: pafs.FileSystem
    path: str
    prefix: str  # put before a path to make it an address

    @property
    def is_remote(self) -> bool:
        return not isinstance(self.fs, pafs.LocalFileSystem)

    def file(self, path: str) -> DataFile:
        return DataFile(self.fs, path, without_secrets(self.prefix + path))

    def kind(self, path: str) -> pafs.FileType:
        """Return whether a path is a file, a folder or missing."""
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
        """Return the paths of the files in a folder, sorted by name, folder by folder.

        A web page counts as a folder of the files that it links to; the links in those files aren't followed.
        """
        if is_web(folder):
            found = _linked(self.fs.handler.fs, folder)
        else:
            selector = pafs.FileSelector(folder, allow_not_found=True, recursive=recursive)
            found = [info.path for info in self.fs.get_file_info(selector) if info.type == pafs.FileType.File]
        return sorted(found, key=lambda path: path.split("/"))

    def matching(self) -> tuple[str, list[str], list[str]]:
        """Return a remote glob's leading folders, all files in them that were listed, and those that match the glob.

        The files are in the order of ``below``.

        Raises:
            SourceError: a web glob has wildcards before its last part, or a query.
        """
        parts = self.path.split("/")
        first = next(i for i, part in enumerate(parts) if any(mark in part for mark in "*?["))
        if is_web(self.path) and ("?" in self.path or first < len(parts) - 1 or parts[first] == "**"):
            raise SourceError(
                f"{self.file(self.path)} is not a valid web glob; use wildcards only in the last part and no query, "
                "as in https://HOST/FOLDER/*.parquet, or name each file"
            )
        pattern, folder = parts[first:], "/".join(parts[:first])
        found = self.below(folder, recursive=len(pattern) > 1 or "**" in pattern)
        return folder, found, [path for path in found if matches(without_secrets(path).split("/")[first:], pattern)]

    def means(self, path: str) -> bool:
        """Return whether a glob matches a path, which need not exist."""
        return matches(path.split("/"), self.path.split("/"))


def forget_listings(files: Iterable[DataFile]) -> None:
    """Drop the cached listings of the stores in which the files lie."""
    for fs in {id(file.fs): file.fs for file in files}.values():
        if isinstance(fs, pafs.PyFileSystem):
            fs.handler.fs.invalidate_cache()


def local_place(path: str) -> Place:
    """Return the place of a path on this machine."""
    return Place(_local(), path, "")


def remote_place(address: Address) -> Place:
    """Return the place of a remote address.

    Raises:
        SourceError: the address holds a password, or its protocol is unknown.
        UnreachableError: the store does not respond, or a package for its protocol is not installed.
    """
    scheme = address.scheme
    authority, _, key = address.given[len(scheme) + 3 :].partition("/")
    if address.has_password:
        raise SourceError(
            f"a {scheme}:// address holds a password, which every list of processes shows; leave the password out, "
            "and give credentials in environment variables (for S3: "
            "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL)"
        )
    try:
        if scheme in ("s3", "gs", "gcs"):
            fs, root = pafs.FileSystem.from_uri(f"{scheme}://{authority}{'' if scheme == 's3' else _GCS_RETRIES}")
            return Place(fs, f"{root}/{key}" if key else root, f"{scheme}://")
        return _by_fsspec(address)
    except (OSError, ValueError) as error:
        kind = UnreachableError if isinstance(error, OSError) else SourceError
        raise kind(f"{address.shown} can't be opened: {why(error, address.given)}") from error


def _by_fsspec(address: Address) -> Place:
    scheme, shown = address.scheme, address.shown
    try:
        import fsspec

        if scheme not in fsspec.available_protocols():
            raise SourceError(
                f"{shown} has an unknown protocol{nearest(scheme, fsspec.available_protocols())}; the known ones "
                "are s3://, gs://, hf://, https:// and the other protocols of fsspec"
            )
        fs, path = fsspec.core.url_to_fs(address.given)
    except ImportError as error:
        line = "`pip install 'lossrank[remote]'`"
        if scheme not in _EXTRA and error.name != "fsspec":
            raise UnreachableError(
                f"{shown} needs a package that is not installed ({first_line(error)}); install the package"
            ) from error
        raise UnreachableError(f"{shown} needs packages that are not installed; run {line}") from error
    fs.invalidate_cache()  # fsspec reuses a file system and its cached listings
    whole = fs.unstrip_protocol(path)
    return Place(pafs.PyFileSystem(pafs.FSSpecHandler(fs)), path, whole.removesuffix(path))


def _linked(web: Any, page: str) -> list[str]:
    """Return the addresses of the files that a web page links to."""
    if "?" in page:
        raise SourceError(
            f"{without_secrets(page)} is not a file of a known kind, and a page with a query is not read for links; "
            "name the files"
        )
    try:
        return [link for link in web.ls(page, detail=False) if not link.endswith("/")]
    except FileNotFoundError:
        return []


def matches(parts: list[str], pattern: list[str]) -> bool:
    """Return whether a path matches a glob, part by part, by the rules of ``glob.glob``."""
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
