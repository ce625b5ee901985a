"""How a run records its data in run.json, so that the same data can be opened again.

``Source.spec`` is one of three kinds, told apart by their key ``kind``: ``FilesSpec``, ``DatasetsSpec``, ``TableSpec``.
"""

from typing import Annotated, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

# No file system takes a path with the character NUL.
Location: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$")]


class FileRecord(msgspec.Struct, frozen=True):
    """One file of the data: where it lies, and the hash of its content or, of a remote file, its store's version."""

    file: Location
    rows: int = 0
    sha256: str | UnsetType = UNSET
    version: dict[str, int | str | None] | UnsetType = UNSET


class FilesSpec(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="files"):
    """Files, folders and globs, on this machine or in remote stores.

    ``data`` has absolute paths, and addresses without anything that may be a secret (``left_out`` says whether there
    was any); ``relative`` has those of the paths that the user gave as relative ones, as they were given; ``split`` is
    the split of a ``DatasetDict`` that ``save_to_disk`` wrote.
    """

    data: Location | tuple[Location, ...]
    split: Location | None = None
    relative: tuple[Location, ...] | UnsetType = UNSET
    left_out: bool | UnsetType = UNSET
    files: tuple[FileRecord, ...] = ()

    @property
    def locations(self) -> tuple[str, ...]:
        """Return the recorded paths and addresses: one or several."""
        return (self.data,) if isinstance(self.data, str) else self.data


class DatasetsSpec(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="datasets"):
    """A split of a data set that the `datasets` library loads by its name, or streams."""

    data: Location
    config: Location | None = None
    split: Location | None = None
    streaming: bool | UnsetType = UNSET

    @property
    def locations(self) -> tuple[str, ...]:
        """Return the data set's name, the only one."""
        return (self.data,)

    @property
    def files(self) -> tuple[FileRecord, ...]:
        """Return no file: only the library knows the files."""
        return ()


class TableSpec(msgspec.Struct, frozen=True, tag_field="kind", tag="table"):
    """A table in memory, which only its owner can pass again."""

    @property
    def split(self) -> None:
        """Return no split."""

    @property
    def locations(self) -> tuple[str, ...]:
        """Return no location."""
        return ()

    @property
    def files(self) -> tuple[FileRecord, ...]:
        """Return no file."""
        return ()


Spec: TypeAlias = FilesSpec | DatasetsSpec | TableSpec
