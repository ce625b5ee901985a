"""`datasets.save_to_disk`, by the library itself."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scorer import RunError
from scorer.errors import first_line


def require_datasets(what: str) -> None:
    """Pass where the library is installed.

    Raises:
        RunError: it is not.
    """
    try:
        import datasets  # noqa: F401
    except ImportError:
        raise RunError(f"{what} needs `datasets`: run `pip install 'lossrank[datasets]'`") from None


def save_to_disk(shards: Path, folder: Path, split: str) -> None:
    """Turn a folder of Parquet files into what ``datasets.load_from_disk`` reads, beside it; the files go.

    Raises:
        RunError: the library can't.
        OSError: the disk is full.
    """
    with quiet_datasets():
        try:
            loaded = load_shards(shards, split, shards / "cache")
            loaded.save_to_disk(folder / "saved")
        except Exception as error:  # the library's errors have no common root
            if found := _of_the_system(error):
                raise found from error
            raise RunError(f"`datasets` can't save what was corrected ({first_line(error)})") from error
    del loaded
    shutil.rmtree(shards)
    for file in (folder / "saved").iterdir():
        file.rename(folder / file.name)
    (folder / "saved").rmdir()


def load_shards(shards: Path, split: str, cache: Path) -> Any:
    """Return a folder's Parquet files as a ``datasets.Dataset`` that is mapped from ``cache``."""
    import datasets

    files = [str(file) for file in sorted(shards.glob("*.parquet"))]
    return datasets.Dataset.from_parquet(files, split=datasets.NamedSplit(split), cache_dir=str(cache))


@contextlib.contextmanager
def quiet_datasets() -> Iterator[None]:
    """Use the library without its progress bars and advice."""
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
    """Return the system's refusal that an error comes from, such as a full disk."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return error
        error = error.__cause__ or error.__context__
    return None
