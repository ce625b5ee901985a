"""Read a text file in a zip archive, streaming: nothing is unpacked to disk, or whole into memory."""

import contextlib
import io
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import PurePosixPath
from typing import Any, TypeVar

import pyarrow as pa

from scorer.address import has_magic
from scorer.data.filesystem import COMPRESSION, READ_AHEAD, DataFile, Place
from scorer.data.folders.names import DESCRIPTIONS, is_hidden
from scorer.data.formats.fasttext import FASTTEXT, starts_with_label
from scorer.data.formats.known import format_of, is_packed, known_suffixes
from scorer.errors import SourceError, first_line
from scorer.text import nearest, short

# What zipfile and its decompressors raise for a broken, encrypted or unknown kind of archive.
_BROKEN = (zipfile.BadZipFile, zlib.error, LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError)
_T = TypeVar("_T")


@dataclass(frozen=True)
class ZipMember(DataFile):
    """A file in a zip archive; ``path`` is the archive's, and so are the version, the hash and the recorded place."""

    member: str = ""

    @property
    def name(self) -> str:
        return PurePosixPath(self.member).name

    @property
    def identity(self) -> str:
        return f"{self.member}\0{super().identity}"

    def open(self) -> pa.NativeFile:
        raise SourceError(f"{self} is in a zip archive, so only a stream of it can be read; unpack the archive")

    def stream(self) -> pa.NativeFile:
        """Open the member as a stream, which is decompressed if its name has the ending of a compression.

        Raises:
            SourceError: the archive is broken or encrypted.
        """
        raw = pa.PythonFile(_Stream(self), "r")
        codec = COMPRESSION.get(PurePosixPath(self.name).suffix.lower())
        return pa.input_stream(raw, compression=codec, buffer_size=READ_AHEAD) if codec else raw


class _Stream:
    """The bytes of a member; each error of its archive becomes a SourceError."""

    def __init__(self, file: ZipMember) -> None:
        self._file = file
        self._archive = _opened(file)
        try:
            self._zip = _reading(file, lambda: zipfile.ZipFile(self._archive))
            self._member = _reading(file, lambda: self._zip.open(file.member))
        except BaseException:
            self._archive.close()
            raise
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        return _reading(self._file, lambda: self._member.read(size))

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            for each in (self._member, self._zip, self._archive):
                each.close()


def is_zip(name: str) -> bool:
    """Return whether a file, by its name, is a zip archive."""
    return name.lower().endswith(".zip")


def without_copies(files: list[DataFile]) -> tuple[list[DataFile], list[str]]:
    """Return the files without the zip archives that add nothing to them, and notes for the user.

    An archive that holds no data is left out, and so is one whose data files lie unpacked among ``files``.

    Raises:
        SourceError: an archive is broken.
        SourceError: an unpacked file beside an archive has another size than the file in it.
    """
    found, notes = [], []
    for file in files:
        if not is_zip(file.name) or isinstance(file, ZipMember):
            found.append(file)
            continue
        members = _members(file)
        if not members:
            notes.append(f"{file.name} is left out, because it holds no data file")
        elif copies := _unpacked(file, members, files):
            notes.append(f"{file.name} is left out, because {short(copies[0].name)} lies beside it, unpacked")
        else:
            found.append(file)
    return found, notes


def unzipped(file: DataFile) -> DataFile:
    """Return the one data file in a zip archive; other files are returned unchanged.

    Raises:
        SourceError: the archive is broken or encrypted, or does not hold one data file that can be streamed.
    """
    if not is_zip(file.name) or isinstance(file, ZipMember):
        return file
    members = _members(file)
    if not members:
        raise SourceError(f"{file} holds no file of a known kind; the known kinds are: {known_suffixes()}")
    return _only(file, members)


def named_in_zip(place: Place, path: str) -> DataFile | None:
    """Return the file that a path such as ``archive.zip/inner.csv`` names; None if no archive is part of the path.

    Raises:
        SourceError: the archive is broken or encrypted, or has no such file.
    """
    if (split := split_zip(path)) is None or place.kind(split[0]).name != "File":
        return None
    archive, member = split
    file = place.file(archive)
    names = _reading(file, lambda: _with_zip(file, lambda opened: opened.namelist()))
    if names.count(member) != 1:
        raise SourceError(
            f"{file} holds {'no file' if member not in names else 'several files named'} {short(member)}"
            f"{nearest(member, names)}; name one of its files, or unpack it"
        )
    return _member(file, member)


def split_zip(path: str) -> tuple[str, str] | None:
    """Return the archive and the file in it that a path such as ``archive.zip/inner.csv`` names; None for others."""
    at = path.lower().find(".zip/")
    if at < 0 or has_magic(path) or not (member := path[at + 5 :].strip("/")):
        return None
    return path[: at + 4], member


def _members(file: DataFile) -> list[zipfile.ZipInfo]:
    """Return the members of an archive that may be data, in the order of their names."""
    infos = _reading(file, lambda: _with_zip(file, lambda opened: opened.infolist()))
    found = [info for info in infos if not info.is_dir() and _may_be_data(file, info)]
    return sorted(found, key=lambda info: info.filename.split("/"))


def _may_be_data(file: DataFile, info: zipfile.ZipInfo) -> bool:
    name = PurePosixPath(info.filename).name
    if is_hidden(info.filename) or name in DESCRIPTIONS:
        return False
    if format_of(name) is FASTTEXT:
        return info.file_size > 0 and starts_with_label(_member(file, info.filename))
    return format_of(name) is not None or is_packed(name) or is_zip(name)


def _only(file: DataFile, members: list[zipfile.ZipInfo]) -> DataFile:
    names = [info.filename for info in members]
    if len(names) > 1:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise SourceError(
            f"{file} holds {len(names)} data files ({', '.join(map(short, names[:3]))}{more}); name the one to read, "
            f"as in {file.name}/{short(names[0])}, or unpack the archive"
        )
    return _member(file, names[0])


def _member(file: DataFile, member: str) -> ZipMember:
    kind = format_of(PurePosixPath(member).name)
    if kind is None or not kind.is_text:
        what = f"a {kind.name} file" if kind else "a file of another kind"
        raise SourceError(
            f"{file} holds {what} ({short(member)}), which can't be read inside a zip archive; unpack the archive"
        )
    # An address without the member would make two files of one archive look the same.
    return ZipMember(file.fs, file.path, f"{file.address}/{member}", member=member)


def _unpacked(file: DataFile, members: list[zipfile.ZipInfo], files: Iterable[DataFile]) -> list[DataFile]:
    """Return the unpacked copies of all members, beside the archive or in a folder with its name; empty if any lacks.

    Raises:
        SourceError: a copy has another size.
    """
    by_path = {other.path: other for other in files}
    found = []
    for info in members:
        places = [f"{file.folder}/{info.filename}", f"{file.path[:-4]}/{info.filename}"]
        copy = next((by_path[place] for place in places if place in by_path), None)
        if copy is not None:
            if (size := copy.version()["size"]) != info.file_size:
                raise SourceError(
                    f"{copy} has {size:,} bytes, but its copy in {file.name} has {info.file_size:,}; move the one "
                    "that is out of date away, or name the files to read"
                )
            found.append(copy)
    return found if len(found) == len(members) else []


def _with_zip(file: DataFile, ask: Callable[[zipfile.ZipFile], _T]) -> _T:
    with contextlib.closing(_opened(file)) as stream, zipfile.ZipFile(stream) as opened:
        return ask(opened)


class _Archive(io.RawIOBase):
    """The bytes of an archive, for ``zipfile``, which expects Python's errors."""

    def __init__(self, file: DataFile) -> None:
        self._file = DataFile.open(file)  # a member itself can't be opened

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found: bytes = self._file.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def seek(self, place: int, whence: int = 0) -> int:
        start = (0, self._file.tell(), self._file.size())[whence]
        if start + place < 0:
            raise OSError("a place before the beginning of the file")
        self._file.seek(start + place)
        return start + place

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        self._file.close()
        super().close()


def _opened(file: DataFile) -> io.BufferedReader:
    return io.BufferedReader(_Archive(file), READ_AHEAD)


def _reading(file: DataFile, read: Callable[[], _T]) -> _T:
    try:
        return read()
    except _BROKEN as error:
        if isinstance(error, RuntimeError) and "encrypted" in str(error):
            raise SourceError(f"{file} is encrypted; unpack the archive with its password") from error
        raise SourceError(
            f"{file} is not a zip archive that can be read ({short(first_line(error))}); unpack it with another program"
        ) from error
