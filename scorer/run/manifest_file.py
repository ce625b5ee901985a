"""Read and write ``run.json``; a damaged file is refused with the path of the fault and how to fix it."""

import json
import re
from pathlib import Path

import msgspec

from scorer.errors import RunError
from scorer.files import write_atomically
from scorer.layout import MANIFEST
from scorer.run.manifest import FORMAT, Manifest, shards_fault
from scorer.typed_json import as_text, fault_of

_ANEW = "score the data again with `overwrite=True`"
_REBUILT = ("calibration", "history", "machine", "machines", "screen", "summary")  # scoring can start without them


class _Head(msgspec.Struct):
    format: int


def read_manifest(path: Path) -> Manifest:
    """Return the manifest of a run directory.

    Raises:
        RunError: the folder is missing or is not a run directory.
        RunError: the run is of a newer or older format.
        RunError: the manifest is damaged or can't be read.
    """
    file = path / MANIFEST
    if not path.is_dir():
        raise RunError(f"{path} {'is a file' if path.exists() else 'does not exist'}; name a directory with a run")
    try:
        content = file.read_bytes()
        head = msgspec.json.decode(content, type=_Head)
    except FileNotFoundError:
        raise RunError(f"{path} is not a run directory (no {MANIFEST}); score a data set into it first") from None
    except msgspec.ValidationError as error:
        raise RunError(f"{file} is not a run's manifest; {_ANEW}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{file} can't be read ({error}); {_ANEW}") from error
    if head.format > FORMAT:
        raise RunError(f"{path} was written by a newer lossrank (format {head.format}); upgrade lossrank")
    if head.format < FORMAT:
        raise RunError(f"{path} was written by an older lossrank (format {head.format}); {_ANEW}")
    try:
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _damaged_value(file, error) from error
    except msgspec.DecodeError as error:
        raise RunError(f"{file} can't be read ({error}); {_ANEW}") from error


def unknown_settings(path: Path, manifest: Manifest) -> dict[str, str]:
    """Return the settings in the ``run.json`` of a run that a newer lossrank wrote, by ``PART KEY``, as JSON.

    ``manifest`` is that run's manifest, which lacks them. A run that has one must not be resumed without it.
    """
    document = json.loads((path / MANIFEST).read_bytes())
    return {
        f"{part} {key}": json.dumps(value, ensure_ascii=False)
        for part in ("columns", "labels", "options")
        for key, value in document[part].items()
        if not hasattr(getattr(manifest, part), key)
    }


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write the manifest of a run directory, whole or not at all.

    Raises:
        RunError: the disk is full or the folder can't be written.
    """
    text = as_text(manifest.as_dict())
    write_atomically(path / MANIFEST, lambda stream: stream.write(text.encode()))


def damaged(file: Path, fault: str, fix: str = _ANEW, *, quotes_data: bool = False) -> RunError:
    """Return the error for a manifest that was changed after lossrank wrote it."""
    return RunError(f"{file} is damaged: {fault}; {fix}", quotes_data=quotes_data)


def refuse_many_shards(rows: int, shard_rows: int) -> None:
    """Raise RunError if a run has more shards than a manifest can list."""
    if fault := shards_fault(rows, shard_rows):
        raise RunError(f"{fault}; give a larger `shard_rows`")


def _damaged_value(file: Path, error: Exception) -> RunError:
    """Return the error for a value of the wrong type or range."""
    fault = fault_of(error, "the manifest")
    part = re.split(r"[.\[]", fault.path)[0]
    if part in _REBUILT:
        return damaged(file, fault.clause, f"remove {part!r} from it and score again with the same arguments")
    return damaged(file, fault.clause)
