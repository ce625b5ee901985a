"""Read and write ``run.json``; a damaged file is refused with the path of the fault and how to fix it."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec

from scorer.errors import RunError
from scorer.files import write_atomically
from scorer.layout import MANIFEST
from scorer.run.manifest import FORMAT, IMPORT_FORMAT, Manifest, shards_fault
from scorer.text import short
from scorer.typed_json import fault_of

_ANEW = "score the data again with `overwrite=True`"
_REBUILT = (
    "calibration",
    "history",
    "machine",
    "machines",
    "screen",
    "summary",
    "unfinished",
)  # scoring can start without them


class _Head(msgspec.Struct):
    format: int


class _Settings(msgspec.Struct):
    """The settings of a run with all their keys, also those that this version does not know."""

    columns: dict[str, Any]
    labels: dict[str, Any] | None
    options: dict[str, Any]


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
    if head.format > IMPORT_FORMAT:
        raise RunError(f"{path} was written by a newer lossrank (format {head.format}); upgrade lossrank")
    if head.format < FORMAT:
        raise RunError(f"{path} was written by an older lossrank (format {head.format}); {_ANEW}")
    try:
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _damaged_value(file, error) from error
    except msgspec.DecodeError as error:
        raise RunError(f"{file} can't be read ({error}); {_ANEW}") from error


def refuse_newer_settings(path: Path, manifest: Manifest) -> None:
    """Raise RunError if a run has a setting that only newer versions know, and that its rows were scored with.

    ``manifest`` is the run's manifest, which lacks such settings.

    Raises:
        RunError: ``run.json`` has an unknown key in its columns, labels or options.
    """
    settings = msgspec.json.decode((path / MANIFEST).read_bytes(), type=_Settings)
    for part in _Settings.__struct_fields__:
        for key, value in (getattr(settings, part) or {}).items():
            if key not in getattr(manifest, part).__struct_fields__:
                raise RunError(
                    f"{path} was written by a newer lossrank: its {part} have {key} = {short(json.dumps(value))}, "
                    "which this version doesn't know; upgrade lossrank, or start again with `overwrite=True`",
                    quotes_data=True,
                )


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write the manifest of a run directory, whole or not at all.

    Raises:
        RunError: the disk is full or the folder can't be written.
    """
    # After each shard the manifest of all shards is written; json.dumps takes ten times as long to indent it.
    content = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    write_atomically(path / MANIFEST, lambda stream: stream.write(content))


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
