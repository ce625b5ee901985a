"""reopen_source(): open the data of a finished run again, if the data has not changed since it was scored."""

from pathlib import Path

from scorer.address import Address
from scorer.data.filesystem import local_place
from scorer.data.source import Data, Source, open_source
from scorer.data.spec import DatasetsSpec, FilesSpec, Spec, TableSpec
from scorer.errors import NotThereError, SourceError, UnreachableError, first_line


def reopen_source(spec: Spec, fingerprint: str, data: Data | Source | None = None) -> Source:
    """Open the data of a finished run again, at its recorded location or, if the data has moved, at ``data``.

    ``data`` can be the Source itself, which a process that scored data in memory still has.

    Raises:
        SourceError: the content has changed since it was scored, or can't be compared.
        NotThereError: the data does not exist at that location.
        UnreachableError: the data's store or the hub failed.
        UnreachableError: the data's address had a part that may be secret and is never recorded.
    """
    if data is None and isinstance(spec, FilesSpec) and spec.left_out:
        return _reopen_without(spec, fingerprint)
    elsewhere = "" if data is not None else ", give its new location with `data`"
    try:
        source = _opened(spec, data)
    except NotThereError as error:
        if data is not None:
            raise
        raise NotThereError(f"{error}; if it has moved{elsewhere}") from error
    if source.fingerprint != fingerprint:
        if not _is_hashed(spec) and _is_hashed(source.spec):
            raise SourceError(
                f"{source.name} can't be compared with what was scored: the run recorded the versions of remote files, "
                "not hashes of their content; give the files' remote addresses with `data`"
            )
        raise SourceError(
            f"{source.name} has changed since it was scored (fingerprint {source.fingerprint[:12]}..., the run has "
            f"{fingerprint[:12]}...); restore it{elsewhere}, or score it again"
        )
    return source


def places(data: Data | None) -> list[str]:
    """Return the paths and addresses that ``data`` names; data in memory has none."""
    if isinstance(data, str | Path):
        return [str(data)]
    return [str(place) for place in data if isinstance(place, str | Path)] if isinstance(data, list | tuple) else []


def refuse_edited(spec: Spec) -> None:
    """Raise SourceError if a local file of the run has changed. Called when the run's remote files can't be reached.

    Raises:
        SourceError: a file has changed or can't be read.
    """
    for record in spec.files:
        if not record.sha256 or Address.parse(record.file).is_remote:
            continue
        try:
            found = local_place(record.file).file(record.file).sha256()
        except (FileNotFoundError, NotADirectoryError):  # a missing file is not an edited one
            continue
        except OSError as error:
            raise SourceError(f"{record.file} can't be read ({first_line(error)})") from error
        if found != record.sha256:
            raise SourceError(f"{record.file} has changed since it was scored; restore it, or score it again")


def _opened(spec: Spec, data: Data | Source | None) -> Source:
    """Open the data with the arguments of scoring, at ``data`` instead of the recorded location if it is given."""
    if isinstance(data, Source):
        return data
    if isinstance(spec, TableSpec):
        if data is None:
            raise SourceError("the run scored a table in memory; pass that table with `data`")
        return open_source(data)
    given = _recorded(spec) if data is None else data
    if isinstance(spec, DatasetsSpec):
        return open_source(given, config=spec.config, split=spec.split, streaming=bool(spec.streaming))
    return open_source(given, split=spec.split, hashed=bool(spec.files) and _is_hashed(spec))


def _recorded(spec: FilesSpec | DatasetsSpec) -> Data:
    return spec.data if isinstance(spec.data, str) else list(spec.data)


def _is_hashed(spec: Spec) -> bool:
    """Return whether the content of every file was hashed, so that the data can be compared at any location."""
    return all(record.sha256 for record in spec.files)


def _reopen_without(spec: FilesSpec, fingerprint: str) -> Source:
    """Open an address without the part that was left out as a possible secret: that part may not be needed."""
    try:
        return reopen_source(spec, fingerprint, _recorded(spec))
    except SourceError as error:
        raise UnreachableError(
            f"{', '.join(spec.locations)} was scored at an address with a query or a user, which may be secret and so "
            f"was not recorded; give the whole address again with `data` (without that part: {error})"
        ) from error
