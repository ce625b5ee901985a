"""Write a bundle to a hidden folder beside its destination, and rename it when it is complete.

A failure leaves no partial bundle and keeps the old one.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from exporter.errors import OutputError
from exporter.libraries import is_disk_full
from scorer.errors import RunError
from scorer.files import folder_written, put_back
from scorer.model.bundle_manifest import listed_files


@contextmanager
def replacing(output: Path, force: bool) -> Iterator[Path]:
    """Yield an empty hidden folder beside ``output``; when the block succeeds, the folder is renamed to ``output``.

    With ``force`` the new folder replaces an older bundle, which stays in place until the rename; a folder that is not
    a bundle is never replaced. If an export was killed between the two renames that some file systems need, the
    next export first puts the old bundle back.

    Raises:
        OutputError: ``output`` is a bundle and ``force`` is not set.
        OutputError: ``output`` exists, is not empty and is not a bundle, or has files that don't belong to the bundle.
        OutputError: ``output`` can't be written, or the disk is full.
    """
    output = output.resolve()  # a link to a bundle stays a link: the folder that it points to is replaced
    made: list[Path] = []
    try:
        try:
            put_back(output)
            _check(output, force)
            made += _missing_parents(output)
            output.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = f"{error.strerror}: {error.filename}" if error.strerror else str(error)
            raise OutputError(f"{output} can't be written ({reason}); choose another place") from error
        with folder_written(output, check=lambda: _check(output, force)) as folder:
            yield folder
            _usual_permissions(folder)
        made = []
    except RunError as error:  # raised by folder_written
        raise OutputError(str(error)) from error
    except Exception as error:
        if is_disk_full(error):
            raise OutputError(
                f"the disk is full at {output.parent}; free some space or choose another place"
            ) from error
        if isinstance(error, OSError):
            raise OutputError(f"{error.filename or output}: {error.strerror or error}; nothing was written") from error
        raise
    finally:
        for parent in reversed(made):
            with suppress(OSError):  # the folder was not made, or it is not empty
                parent.rmdir()


def _check(output: Path, force: bool) -> None:
    if not output.exists():
        return
    if not output.is_dir():
        raise OutputError(f"{output} is a file; name a folder that does not exist yet")
    if not any(output.iterdir()):
        return
    strangers = _strangers(output)
    if strangers is None:
        raise OutputError(
            f"{output} exists and is not a bundle, so not even `force=True` replaces it; name a folder that does not "
            "exist yet"
        )
    if not force:
        raise OutputError(f"{output} exists; replace it with `force=True` or name another folder")
    if strangers:
        raise OutputError(
            f"{output} has files that don't belong to the bundle ({', '.join(strangers[:3])}); "
            "move those files away, then replace the bundle with `force=True`"
        )


def _strangers(folder: Path) -> list[str] | None:
    """Return the entries of a bundle's folder that its manifest does not list; None if the folder is not a bundle."""
    if (listed := listed_files(folder)) is None:
        return None
    return sorted(entry.name for entry in folder.iterdir() if entry.name not in listed)


def _missing_parents(output: Path) -> list[Path]:
    """Return the folders above ``output`` that don't exist, outermost first."""
    missing = []
    for parent in output.parents:
        if parent.exists():
            break
        missing.append(parent)
    return missing[::-1]


def _usual_permissions(folder: Path) -> None:
    """Give every file the permissions that the user's umask allows: onnx writes weights with 0600."""
    usual = folder.stat().st_mode & 0o666
    for file in folder.iterdir():
        file.chmod(usual)
