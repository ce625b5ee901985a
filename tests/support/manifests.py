"""Manifests of runs that no data was scored for, or that differ in a value from what was scored."""

from pathlib import Path
from typing import Any

import msgspec

from scorer import RunDirectory, Source
from scorer.run.manifest import FORMAT, Manifest


def manifest(parts: dict[str, Any]) -> Manifest:
    """Return the manifest of a run without shards from the parts that ``run.json`` would hold."""
    return msgspec.convert({"format": FORMAT, "shards": {}, **parts}, Manifest)


def run_of(source: Source) -> RunDirectory:
    """Return a run over a source, of which no row is scored and nothing is written."""
    parts = {
        "bundle": {"path": "bundle", "sha256": "b" * 64, "model": "m", "class_names": ["a", "b"]},
        "data": {
            "name": source.name,
            "fingerprint": source.fingerprint,
            "rows": source.num_rows,
            "spec": msgspec.to_builtins(source.spec),
        },
        "columns": {"text": "text", "text_pair": None, "label": "label", "id": None},
        "labels": None,
        "options": {"shard_rows": 4096, "batch_tokens": 512, "precision": "fp32"},
    }
    return RunDirectory(Path("run"), manifest(parts))


def altered(run: RunDirectory, **parts: Any) -> RunDirectory:
    """Return a run in the same folder with other values in its manifest; dictionaries are merged into the part."""
    whole = run.manifest.to_dict()
    for part, values in parts.items():
        whole[part] = {**whole[part], **values} if isinstance(values, dict) and whole.get(part) else values
    return RunDirectory(run.path, msgspec.convert(whole, Manifest))
