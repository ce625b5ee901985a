"""Save the corrected data set in the format of `datasets.save_to_disk`, with the `datasets` library itself."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scorer import RunError
from scorer.errors import first_line


def require_datasets(what: str) -> None:
    """Raise RunError if `datasets` is not installed.

    ``what`` names, in the message, the argument that needs `datasets`.

    Raises:
        RunError: `datasets` is not installed.
    """
    try:
        import datasets  # noqa: F401
    except ImportError:
        raise RunError(f"{what} needs `datasets`: run `pip install 'lossrank[datasets]'`") from None


def save_to_disk(shards: Path, folder: Path, split: str) -> None:
    """Convert the Parquet files in ``shards`` to the files that ``datasets.load_from_disk`` reads, in ``folder``.

    ``shards`` is deleted.

    Raises:
        RunError: `datasets` can't save the data.
        OSError: the file system refuses, for example because the disk is full.
    """
    with quiet_datasets():
        try:
            loaded = load_shards(shards, split, shards / "cache")
            loaded.save_to_disk(folder / "saved")
        except Exception as error:  # the library's errors have no common base class
            if found := _of_the_system(error):
                raise found from error
            raise RunError(
                f"`datasets` can't save the corrected data set ({first_line(error)}); use `format='parquet'`"
            ) from error
    del loaded
    shutil.rmtree(shards)
    for file in (folder / "saved").iterdir():
        file.rename(folder / file.name)
    (folder / "saved").rmdir()


def load_shards(shards: Path, split: str, cache: Path) -> Any:
    """Return a folder's Parquet files as a ``datasets.Dataset``, memory-mapped from ``cache``."""
    import datasets

    files = [str(file) for file in sorted(shards.glob("*.parquet"))]
    return datasets.Dataset.from_parquet(files, split=datasets.NamedSplit(split), cache_dir=str(cache))


@contextlib.contextmanager
def quiet_datasets() -> Iterator[None]:
    """Turn off the progress bars and warnings of `datasets` within the block."""
    import datasets

    shown, said = datasets.is_progress_bar_enabled(), datasets.logging.get_verbosity()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(said)
        if shown:
            datasets.enable_progress_bars()


def _of_the_system(error: BaseException | None) -> OSError | None:
    """Return the file system's error that caused ``error``, such as a full disk; None if there is none."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return error
        error = error.__cause__ or error.__context__
    return None
