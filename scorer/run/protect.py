"""Places that no command writes to, whatever is forced: a run's own files, and the data that were scored."""

from collections.abc import Iterable
from pathlib import Path

from scorer import RunDirectory, RunError
from scorer.address import Address
from scorer.data.find import would_read
from scorer.data.formats import format_of
from scorer.data.spec import spec_from
from scorer.layout import SCORES, is_part_of_run, is_run


def refuse_existing(output: Path, force: bool) -> None:
    """Pass a file that may be written.

    Raises:
        RunError: its folder is not there, it is a folder itself, part of a run or among its scores, or there (without
            ``force``).
    """
    if not output.parent.is_dir():
        raise RunError(f"{output.parent} is not a folder; make it first")
    if output.is_dir():
        raise RunError(f"{output} is a folder; give -o a file in it")
    if is_part_of_run(output) or (output.exists() and any(map(is_run, output.resolve().parents[:2]))):
        raise RunError(f"{output} is part of a run, which --force does not replace; choose another name")
    refuse_scores(output)
    if output.exists() and not force:
        raise RunError(f"{output} exists; choose another name, or replace it with --force")


def refuse_scores(place: Path) -> None:
    """Pass a place that is not among a run's scores, where `verify` and whoever reads the folder take it for a shard.

    Raises:
        RunError: it is.
    """
    for end in (place.resolve(), place.parent.resolve() / place.name):  # a link that is replaced, or written through
        for folder in (end, *end.parents):
            if folder.name == SCORES and is_run(folder.parent):
                raise RunError(f"{place} is among the scores of {folder.parent}; choose another place")


def refuse_own_data(place: Path, run: RunDirectory, data: Iterable[str] = (), *, is_folder: bool = False) -> None:
    """Pass a place that is neither the run's data nor would be read as part of them the next time.

    ``data`` is where they lie now, if they have moved; of a place that will be a folder nothing in it may be read.

    Raises:
        RunError: it is; no ``--force`` replaces it.
    """
    spec = spec_from(run.manifest["data"]["spec"])
    parent = place.parent.resolve()
    for given in [*spec.locations, *(record.file for record in spec.files), *data]:
        address = Address.parse(given)
        if address.is_remote:
            continue
        here = Path(address.path)
        inside = here.is_dir() and (parent / place.name).is_relative_to(here.resolve())
        if would_read(address, place) or (inside and (is_folder or format_of(place.name) is not None)):
            raise RunError(f"{place} is in the data that were scored ({given}); choose another place")
        if here.resolve().is_relative_to(place.resolve()):
            raise RunError(f"{place} is where the data lie that were scored ({given}); choose another place")
