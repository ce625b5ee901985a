"""replacing(): write a directory beside its place and rename it there; a failure leaves and destroys nothing."""

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from exporter.errors import OutputError
from exporter.libraries import is_disk_full
from scorer.model.bundle import MANIFEST


@contextmanager
def replacing(output: Path, force: bool) -> Iterator[Path]:
    """Yield an empty hidden directory beside ``output`` that takes its name if the block succeeds.

    With ``force`` a bundle that is there survives until then; anything but a bundle is never replaced.

    Raises:
        OutputError: ``output`` is there (without ``force``), is not a bundle, can't be written, or the disk is full.
    """
    output = output.resolve()  # a link to a bundle stays one: what it points to is replaced
    made: list[Path] = []
    leftover = building = output.parent / f".{output.name}.{uuid.uuid4().hex[:12]}.tmp"
    try:
        try:
            _check(output, force)
            made += _missing_parents(output)
            output.parent.mkdir(parents=True, exist_ok=True)
            building.mkdir()  # unlike mkdtemp's, with the permissions that the user's umask gives
        except OSError as error:
            reason = f"{error.strerror}: {error.filename}" if error.strerror else str(error)
            raise OutputError(f"{output} can't be written ({reason}); choose another place") from error
        yield building
        _settle(building)
        _check(output, force)  # an export takes a while
        leftover = _move(building, output)
        made = []
    except Exception as error:
        if is_disk_full(error):
            raise OutputError(
                f"the disk is full at {output.parent}; free some space or choose another place"
            ) from error
        if isinstance(error, OSError):
            raise OutputError(f"{error.filename or output}: {error.strerror or error}; nothing was written") from error
        raise
    finally:
        shutil.rmtree(leftover, ignore_errors=True)
        for parent in reversed(made):
            with suppress(OSError):  # not there, or something else has moved in
                parent.rmdir()


def _check(output: Path, force: bool) -> None:
    if not output.exists():
        return
    if not output.is_dir():
        raise OutputError(f"{output} is a file; name a folder that is not there yet")
    if not any(output.iterdir()):
        return
    strangers = _strangers(output)
    if strangers is None:
        raise OutputError(
            f"{output} is there already and is not a bundle, so not even --force replaces it; "
            "name a folder that is not there yet"
        )
    if not force:
        raise OutputError(f"{output} is there already; replace it with --force or name another folder")
    if strangers:
        raise OutputError(
            f"{output} holds files that are not the bundle's ({', '.join(strangers[:3])}); "
            "move them away before --force"
        )


def _strangers(folder: Path) -> list[str] | None:
    """Return what is in a bundle's folder without being listed in its manifest; None if it is no bundle."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        listed = {MANIFEST, *manifest["files"]}
        if "format" not in manifest:
            return None
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return sorted(entry.name for entry in folder.iterdir() if entry.name not in listed)


def _missing_parents(output: Path) -> list[Path]:
    """Return the folders above ``output`` that are not there, outermost first."""
    missing = []
    for parent in output.parents:
        if parent.exists():
            break
        missing.append(parent)
    return missing[::-1]


def _settle(folder: Path) -> None:
    """Give every file its usual permissions and have it on the disk itself, before an older bundle may go."""
    usual = folder.stat().st_mode & 0o666  # the folder's are what the umask left; onnx makes weights 0600
    for file in folder.iterdir():
        file.chmod(usual)
        with file.open("rb") as stream:
            os.fsync(stream.fileno())


def _move(building: Path, output: Path) -> Path:
    """Put the new directory in its place and return what may be deleted; the old one comes back if it fails."""
    if not output.exists() or not any(output.iterdir()):
        building.rename(output)  # replaces an empty directory
        return building
    aside = building.with_suffix(".old")
    try:
        output.rename(aside)
        building.rename(output)
    except BaseException:  # Ctrl-C too
        if aside.exists() and not output.exists():
            aside.rename(output)
        raise
    return aside
