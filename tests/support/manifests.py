"""Manifests of runs that no data was scored for, or that differ in a value from what was scored."""

from typing import Any

import msgspec

from scorer import RunDirectory
from scorer.run.manifest import FORMAT, Manifest


def manifest(parts: dict[str, Any]) -> Manifest:
    """Return the manifest of a run without shards from the parts that ``run.json`` would hold."""
    return msgspec.convert({"format": FORMAT, "shards": {}, **parts}, Manifest)


def altered(run: RunDirectory, **parts: Any) -> RunDirectory:
    """Return a run in the same folder with other values in its manifest; dictionaries are merged into the part."""
    whole = run.manifest.to_dict()
    for part, values in parts.items():
        whole[part] = {**whole[part], **values} if isinstance(values, dict) and whole.get(part) else values
    return RunDirectory(run.path, msgspec.convert(whole, Manifest))
