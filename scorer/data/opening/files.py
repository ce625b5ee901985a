"""from_paths(): open files, folders, globs, and saved or named data sets."""

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import pyarrow as pa
from msgspec import UNSET

from scorer.address import Address
from scorer.data import hf_datasets as hub
from scorer.data.arrow import readable
from scorer.data.filesystem import DataFile
from scorer.data.folders.find import Found, find_files, find_several, same_format
from scorer.data.folders.hive import constants_of
from scorer.data.formats.known import format_of, known_suffixes
from scorer.data.opening.memory import from_dataset, from_stream
from scorer.data.parts import FilePart, at_once, inspected
from scorer.data.read_options import ReadOptions, refuse_read_options
from scorer.data.schemas import joined, label_names, several, usable
from scorer.data.source import Find, Source
from scorer.data.spec import DatasetsSpec, FileRecord, FilesSpec
from scorer.errors import SourceError


def from_paths(
    addresses: list[Address], config: str | None, split: str | None, streaming: bool, hashed: bool, read: ReadOptions
) -> Source:
    """Open files, a data set's name, or several paths as one data set, in the order of ``addresses``; at least one.

    Raises:
        SourceError: the data is unreadable, its files differ in columns, or a split is missing.
        NotThereError: nothing lies at the path or address.
        UnreachableError: the store or the hub failed.
    """
    if len(addresses) == 1:
        return _from_one(addresses[0], config, split, streaming, hashed, read)
    if streaming or config is not None:
        raise SourceError(
            f"{len(addresses)} paths were given; use `streaming=True` or `config` only with a single data set's name"
        )
    find = partial(find_several, addresses, split)
    name = f"{Path(addresses[0].shown).name} and {len(addresses) - 1} more"
    return _from_files(addresses, name, find(), split, hashed, read, lambda: find().files)


def _from_one(
    address: Address, config: str | None, split: str | None, streaming: bool, hashed: bool, read: ReadOptions
) -> Source:
    shown = address.shown
    if streaming:
        refuse_read_options(read, "a `datasets` data set")
        is_folder = Path(address.given).is_dir()
        if not is_folder and (address.is_remote or find_files(address, config, split).files):
            raise SourceError(
                f"`streaming=True` only goes with a `datasets` data set; leave it out: {shown} is a file, "
                "which is never read whole"
            )
        where = address.absolute if is_folder else address.given
        spec = DatasetsSpec(data=where, config=config, split=split, streaming=True)
        found = hub.stream(address.given, config, split)
        return from_stream(found, Path(shown).name if is_folder else address.given, spec)
    find = partial(find_files, address, config, split)
    if (files := find()).files:
        same_format(files.files, shown)
        return _from_files([address], Path(shown).name or shown, files, split, hashed, read, lambda: find().files)
    refuse_read_options(read, "a `datasets` data set")
    spec = DatasetsSpec(data=address.given, config=config, split=split)
    return from_dataset(hub.load(address.given, config, split), address.given, spec)


def _from_files(
    addresses: list[Address],
    name: str,
    found: Found,
    split: str | None,
    hashed: bool,
    read: ReadOptions,
    find: Find,
) -> Source:
    parts: list[FilePart] = []
    unusable: dict[str, str] = {}
    schema: pa.Schema | None = None
    files = same_format(found.files, name)
    with at_once() as pool:
        # Every file is inspected before any is hashed, so that an unreadable file is reported at once.
        described = pool.map(partial(_described, options=read, data=name), files)
        for file, (part, own) in zip(files, described, strict=True):
            own, twins = usable(own, str(file))
            unusable |= {twin: several(str(file)) for twin in part.found.repeated} | twins
            for column in () if schema is None else set(own.names).symmetric_difference(schema.names):
                lacking = files[0] if column in own.names else file
                unusable.setdefault(column, f"{lacking} has no such column; give all files the same columns")
            schema = own if schema is None else joined(schema, own, file, files[0])
            parts.append(part)
        identities = list(pool.map(partial(FilePart.identity, hashed=hashed), parts))
    if schema is None:
        raise SourceError(f"{name} holds no file of a known kind; the known kinds are: {known_suffixes()}")
    where = tuple(address.absolute for address in addresses)
    # A relative path is recorded as given: the user named its folders, but not those of the working directory.
    relative = tuple(address.given for address in addresses if address.is_relative)
    left_out = any(address.has_secret for address in addresses)
    digest = hashlib.sha256(msgspec.json.encode(read) if read.given else b"")  # other options may give other rows
    for file, identity in zip(files, identities, strict=True):
        digest.update(str(identity.get("sha256", identity)).encode() + file.identity.encode())
    records = tuple(
        FileRecord(part.file.absolute, part.rows, **identity) for part, identity in zip(parts, identities, strict=True)
    )
    return Source(
        name=name,
        spec=FilesSpec(
            data=where if len(where) > 1 else where[0],
            split=split,
            relative=relative or UNSET,
            left_out=left_out or UNSET,
            read=read if read.given else UNSET,
            files=records,
        ),
        schema=schema,
        num_rows=sum(part.rows for part in parts),
        fingerprint=digest.hexdigest(),
        label_names=label_names(schema),
        parts=list(parts),
        notes=found.notes + tuple(note for part in parts for note in part.found.notes),
        unusable=unusable,
        find=find,
    )


def _described(file: DataFile, options: ReadOptions, data: str) -> tuple[FilePart, pa.Schema]:
    """Return the part that reads a file, and the file's schema."""
    kind = format_of(file.name)
    if kind is None:
        raise SourceError(f"{file} is of no known kind; the known kinds are: {known_suffixes()}")
    part = inspected(file, kind, options, data)
    part = replace(part, constants=constants_of(part))
    return part, readable(part.schema)
