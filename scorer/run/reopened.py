"""reopen_data(): open the data of a run again, wherever and in whichever form it is now, if it is what was scored.

Files are compared by the hash of their bytes, which is fast. If that differs, as it does between kinds of data, the
rows are compared by their content (``scorer/run/content.py``), shard by shard.
"""

from collections.abc import Iterator

from msgspec import UNSET

from scorer.address import Address
from scorer.data.filesystem import local_place
from scorer.data.labels.label_map import BY_GIVEN_MAP
from scorer.data.opening.open import open_source
from scorer.data.source import Data, Source, paths_of
from scorer.data.spec import DatasetsSpec, FilesSpec, Spec
from scorer.errors import NotThereError, SourceError, UnreachableError, first_line
from scorer.layout import MANIFEST
from scorer.run.content import content_of, digits
from scorer.run.directory import RunDirectory, shard_name
from scorer.run.manifest_file import damaged
from scorer.text import fold


def reopen_data(run: RunDirectory, data: Data | None = None) -> Source:
    """Open the data of a run again, from ``data`` if it is given, else from its recorded location.

    ``data`` may be of another kind than what was scored: a table or a file with the same rows in the same order. Rows
    are the same if their text, text pair, label and id have the same values.

    Raises:
        SourceError: the rows are not what was scored, or can't be compared.
        SourceError: the run scored data in memory, and ``data`` is None.
        NotThereError: the data does not exist at that location.
        UnreachableError: the data's store or the hub failed.
        UnreachableError: the data's address had a part that may be secret and is never recorded.
    """
    spec = run.manifest.data.spec
    if data is None and isinstance(spec, FilesSpec) and spec.left_out:
        return _reopen_without(run, spec)
    elsewhere = "" if data is not None else ", give its new location with `data`"
    try:
        source = _opened(spec, data)
    except NotThereError as error:
        if data is not None:
            raise
        raise NotThereError(f"{error}; if it has moved{elsewhere}") from error
    if run.manifest.data.joined is not UNSET:
        source = source.joining(run.manifest.data.joined.parts, run.manifest.data.joined.separator)
    _refuse_other_names(run, source)
    # An older version may have read other rows from the same bytes.
    if source.fingerprint == run.data_fingerprint and source.num_rows == run.num_rows:
        return source
    if not has_content(run):
        raise _other_bytes(run, source, elsewhere)
    missing = [f"it has no column {name!r}, the {role} of the run" for role, name in _missing_columns(run, source)]
    if what := missing[0] if missing else difference(run, source):
        how, fix = "is not what was scored", "give the rows that were scored, in the same order, or score these"
        if data is None:
            how, fix = "has changed since it was scored", f"restore it{elsewhere}, or score it again"
        raise SourceError(f"{source.name} {how}: {what}; {fix}", quotes_data=bool(missing))
    return source


def _refuse_other_names(run: RunDirectory, source: Source) -> None:
    """Raise SourceError if the numbers of a ClassLabel column stand for other classes than the run's labels do."""
    names = source.label_names.get(run.columns.label or "")
    if names is None or run.manifest.labels is None or run.manifest.labels.how == BY_GIVEN_MAP:
        return
    classes = {fold(name): index for index, name in enumerate(run.class_names)}
    for number, name in enumerate(names):
        scored, now = run.manifest.labels.map.get(str(number), number), classes.get(fold(name))
        if now is not None and scored != now and scored in classes.values():
            raise SourceError(
                f"{source.name} is not what was scored: label {number} was {run.class_names[scored]!r} and is {name!r} "
                "now; give the data with its own class names",
                quotes_data=True,
            )


def same_data(a: RunDirectory, b: RunDirectory) -> bool:
    """Return whether two runs scored the same rows, which may have been files for one run and a table for the other."""
    if a.data_fingerprint == b.data_fingerprint:
        return True
    return a.content_fingerprint is not None and a.content_fingerprint == b.content_fingerprint


def has_content(run: RunDirectory) -> bool:
    """Return whether a run recorded the content of all rows that it scored, as runs of older versions did not."""
    return bool(run.shards) and all(shard.content is not UNSET for shard in run.shards.values())


def difference(run: RunDirectory, source: Source) -> str | None:
    """Return a clause that tells the first rows of ``source`` that a run with contents did not score; None if none.

    ``source`` has the run's columns. It is read in one pass, up to the first difference or the last finished shard.

    Raises:
        SourceError: the data can't be read.
    """
    if source.num_rows != run.num_rows:
        return f"it has {source.num_rows:,} rows, not {run.num_rows:,}"
    found = _shard_contents(run, source)
    left = set(run.shards)
    for index in range(run.num_shards):
        if not left:
            break
        content, name = next(found, None), shard_name(index)
        if name in left and content != run.shards[name].content:
            start, stop = run.shard_range(index)
            return f"the first difference is in rows {start:,} to {stop - 1:,}"
        left.discard(name)
    return None


def refuse_columns(run: RunDirectory, source: Source) -> None:
    """Raise RunError if the manifest names a column that ``source``, the data that was scored, does not have."""
    for role, name in _missing_columns(run, source):
        what = f"it names the {role} column {name!r}, which {source.name} does not have"
        raise damaged(run.path / MANIFEST, what, quotes_data=True)


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


def _opened(spec: Spec, data: Data | None) -> Source:
    """Open the data with the arguments of scoring, at ``data`` instead of the recorded location if it is given."""
    if data is None and not spec.locations:
        raise SourceError("the run scored data in memory; pass that data, or a file with its rows, with `data`")
    given = list(spec.locations) if data is None else data
    try:
        if isinstance(spec, DatasetsSpec):
            return open_source(given, config=spec.config, split=spec.split, streaming=bool(spec.streaming))
        # Data in memory has no options for reading files.
        read = spec.read if isinstance(spec, FilesSpec) and spec.read and paths_of(given) else None
        return open_source(given, split=spec.split, hashed=bool(spec.files) and _is_hashed(spec), read=read)
    except (NotThereError, UnreachableError):
        raise
    except SourceError:
        has_options = isinstance(spec, DatasetsSpec) or spec.split is not None or getattr(spec, "read", None)
        if data is None or not has_options:
            raise
        return open_source(data)  # a split, a configuration and options for reading don't go with other kinds of data


def _is_hashed(spec: Spec) -> bool:
    """Return whether the content of every file was hashed, so that the data can be compared at any location."""
    return all(record.sha256 for record in spec.files)


def _reopen_without(run: RunDirectory, spec: FilesSpec) -> Source:
    """Open an address without the part that was left out as a possible secret: that part may not be needed."""
    try:
        return reopen_data(run, list(spec.locations))
    except SourceError as error:
        raise UnreachableError(
            f"{', '.join(spec.locations)} was scored at an address with a query or a user, which may be secret and so "
            f"was not recorded; give the whole address again with `data` (without that part: {error})"
        ) from error


def _other_bytes(run: RunDirectory, source: Source, elsewhere: str) -> SourceError:
    """Return the error for data with another fingerprint than that of a run that has no contents."""
    if not _is_hashed(run.manifest.data.spec) and _is_hashed(source.spec):
        return SourceError(
            f"{source.name} can't be compared with what was scored: the run recorded the versions of remote files, "
            "not hashes of their content; give the files' remote addresses with `data`"
        )
    return SourceError(f"{source.name} has changed since it was scored; restore it{elsewhere}, or score it again")


def _missing_columns(run: RunDirectory, source: Source) -> Iterator[tuple[str, str]]:
    """Yield the role and name of each scored column that ``source`` does not have."""
    for role, name in run.columns.to_dict().items():
        if name is not None and name not in source.readable_schema.names:
            yield role, name


def _shard_contents(run: RunDirectory, source: Source) -> Iterator[str]:
    """Yield the content of the rows of each shard, in order; fewer if the data ends early."""
    columns = run.columns.to_dict()
    total = at = 0
    for batch in source.read(list(dict.fromkeys(name for name in columns.values() if name is not None))):
        while len(batch):
            _, stop = run.shard_range(at // run.shard_rows)
            rows = batch.slice(0, stop - at)
            total += content_of(rows, at, columns)
            at, batch = at + len(rows), batch.slice(len(rows))
            if at == stop:
                yield digits(total)
                total = 0
