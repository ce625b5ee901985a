"""``run.json``, the manifest of a run directory: what it must hold to be one."""

import json
from pathlib import Path
from typing import Any

from scorer.errors import RunError

FORMAT = 2
MANIFEST = "run.json"


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest of a run directory.

    Raises:
        RunError: there is no run directory, it is of a newer or older format, or its manifest is damaged.
    """
    if not path.is_dir():
        raise RunError(
            f"{path} {'is a file' if path.exists() else 'does not exist'}; `lossrank score ... -o RUN` makes one"
        )
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(
            f"{path} is not a run directory (no {MANIFEST}); `lossrank score ... -o RUN` makes one"
        ) from None
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path / MANIFEST} can't be read ({error}); start anew with `lossrank score ... --overwrite`"
        ) from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise RunError(f"{path / MANIFEST} is not a run's manifest; start anew with `lossrank score ... --overwrite`")
    if manifest["format"] > FORMAT:
        raise RunError(f"{path} was written by a newer lossrank (format {manifest['format']}); upgrade lossrank")
    if manifest["format"] < FORMAT:
        raise RunError(
            f"{path} was written by an older lossrank (format {manifest['format']}); score the data again with "
            "`lossrank score ... --overwrite`"
        )
    if not _is_whole(manifest):
        raise RunError(f"{path / MANIFEST} is damaged; start anew with `lossrank score ... --overwrite`")
    return manifest


def _is_whole(manifest: dict[str, Any]) -> bool:
    """Say whether a manifest has what the properties of RunDirectory read."""
    try:
        return (
            all(isinstance(name, str) for name in manifest["bundle"]["class_names"])
            and isinstance(manifest["bundle"]["model"], str)
            and all(isinstance(manifest["data"][key], str) for key in ("name", "fingerprint"))
            and isinstance(manifest["data"]["spec"], dict)
            and int(manifest["data"]["rows"]) > 0
            and all(int(manifest["options"][key]) > 0 for key in ("shard_rows", "batch_tokens"))
            and {"text", "text_pair", "label", "id"} <= set(manifest["columns"])
            and all(isinstance(shard["sha256"], str) for shard in manifest["shards"].values())
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
