"""Records of a run's data in run.json, from which the same data can be opened again.

``Source.spec`` is one of three kinds, told apart by their key ``kind``: ``FilesSpec``, ``DatasetsSpec``, ``TableSpec``.
"""

from typing import Annotated, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from scorer.data.read_options import ReadOptions
from scorer.typed_json import Count

# No file system accepts a path with a NUL character.
Location: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$")]


class FileRecord(msgspec.Struct, frozen=True):
    """One file of the data: its location, and the hash of its content or a remote file's version in the store."""

    file: Location
    rows: Count = 0
    sha256: str | UnsetType = UNSET
    version: dict[str, int | str | None] | UnsetType = UNSET


class FilesSpec(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="files"):
    """Files, folders and globs, on this machine or in remote stores.

    ``data`` has absolute paths, and addresses without the parts that may be secret; ``left_out`` says whether an
    address had such a part. ``relative`` has the paths that the user gave as relative ones, unchanged. ``split`` is the
    split that was read of a ``DatasetDict`` written by ``save_to_disk``. ``read`` has the options that
    the user gave for reading the files.
    """

    data: Location | tuple[Location, ...]
    split: Location | None = None
    relative: tuple[Location, ...] | UnsetType = UNSET
    left_out: bool | UnsetType = UNSET
    read: ReadOptions | UnsetType = UNSET
    files: tuple[FileRecord, ...] = ()

    @property
    def locations(self) -> tuple[str, ...]:
        """Return the recorded paths and addresses, at least one."""
        return (self.data,) if isinstance(self.data, str) else self.data


class DatasetsSpec(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="datasets"):
    """A split of a data set that the `datasets` library loads by its name, or streams."""

    data: Location
    config: Location | None = None
    split: Location | None = None
    streaming: bool | UnsetType = UNSET

    @property
    def locations(self) -> tuple[str, ...]:
        """Return the data set's name as the only location."""
        return (self.data,)

    @property
    def files(self) -> tuple[FileRecord, ...]:
        """Return an empty tuple, because only the library knows the files."""
        return ()


class TableSpec(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="table", omit_defaults=True):
    """Data in memory, which is not recorded: whoever has it must pass it again.

    ``split`` is the split that a Dataset says it is, or under which it is in a DatasetDict.
    """

    split: Location | None = None

    @property
    def locations(self) -> tuple[str, ...]:
        """Return an empty tuple, because data in memory has no location."""
        return ()

    @property
    def files(self) -> tuple[FileRecord, ...]:
        """Return an empty tuple, because data in memory has no files."""
        return ()


Spec: TypeAlias = FilesSpec | DatasetsSpec | TableSpec
