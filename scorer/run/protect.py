"""Refuse to write over a run's own files or over the data that was scored, even with ``force``."""

from pathlib import Path

from scorer.address import Address
from scorer.data.folders.find import would_be_data, would_read
from scorer.data.source import Data, paths_of
from scorer.errors import RunError
from scorer.layout import SCORES, is_part_of_run, is_run
from scorer.run.directory import RunDirectory


def refuse_existing(output: Path, force: bool) -> None:
    """Raise RunError if a file must not be written.

    Raises:
        RunError: the file's folder is missing.
        RunError: the path is a folder.
        RunError: the file is part of a run or among a run's scores.
        RunError: the file exists (without ``force``).
    """
    if not output.parent.is_dir():
        raise RunError(f"{output.parent} is not a folder; make it first")
    if output.is_dir():
        raise RunError(f"{output} is a folder; name a file in it")
    if is_part_of_run(output) or (output.exists() and any(map(is_run, output.resolve().parents[:2]))):
        raise RunError(f"{output} is part of a run; `force=True` replaces no file of a run; choose another name")
    refuse_scores(output)
    if output.exists() and not force:
        raise RunError(f"{output} exists; choose another name, or replace it with `force=True`")


def refuse_scores(place: Path) -> None:
    """Raise RunError if a file or folder is among a run's scores, where readers would take it for a shard.

    Raises:
        RunError: the file or folder is among a run's scores.
    """
    # A link is checked twice: where it lies, which may be replaced, and where it leads, which may be written.
    for end in (place.resolve(), place.parent.resolve() / place.name):
        for folder in (end, *end.parents):
            if folder.name == SCORES and is_run(folder.parent):
                raise RunError(f"{place} is among the scores of {folder.parent}; choose another place")


def refuse_own_data(place: Path, run: RunDirectory, data: Data | None = None, *, is_folder: bool = False) -> None:
    """Raise RunError if writing a file or folder would replace or add to the run's data.

    ``data`` is where the data is now, if it has moved; data in memory can't be replaced. If the data is a folder,
    neither a file of a data format nor a folder (``is_folder``) may be written into it.

    Raises:
        RunError: the path is in the data, or would be read as part of it the next time.
        RunError: the path is a folder that holds the data.
        RunError: the path is, or holds, the file whose probabilities the run imported.
    """
    imported = run.manifest.imported
    if imported and imported.path and Path(imported.path).resolve().is_relative_to(place.resolve()):
        raise RunError(f"{place} is or holds the probabilities that were imported; choose another place")
    spec = run.manifest.data.spec
    parent = place.parent.resolve()
    for given in [*spec.locations, *(record.file for record in spec.files), *(paths_of(data) or ())]:
        address = Address.parse(given)
        if address.is_remote:
            continue
        here = Path(address.path)
        inside = here.is_dir() and (parent / place.name).is_relative_to(here.resolve())
        if would_read(address, place) or (inside and (is_folder or would_be_data(place))):
            raise RunError(f"{place} is in the data that was scored ({given}); choose another place")
        if here.resolve().is_relative_to(place.resolve()):
            raise RunError(f"{place} holds the data that was scored ({given}); choose another place")
