"""Make one model's files for the candidates, in a process of its own, so that the runner's memory stays small.

python -m benchmarks.prepare MODEL CACHE CORES
"""

import hashlib
import json
import sys
import warnings
from importlib import metadata
from pathlib import Path

from benchmarks.models import build, export_plain
from benchmarks.rows import make_rows
from benchmarks.runner import ROOT
from scorer import ModelBundle

_CALIBRATION = 100  # number of news rows, taken from the end


def main() -> None:
    """Print the paths of the model's folder, plain graph and bundle as JSON, with facts about them."""
    warnings.simplefilter("ignore")
    name, cache, cores = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    import torch

    from exporter import export_model

    torch.set_num_threads(cores)
    sample = make_rows("news").texts[-_CALIBRATION:]
    folder = build(name, cache / f"{name}-{_digest('benchmarks/models.py', 'benchmarks/demo/demo_weights.py')}", sample)
    graph = export_plain(folder, folder / "onnx" / "model.onnx")
    # A bundle is made again when the exporter changes.
    bundle = folder / f"bundle-{_digest('exporter/*.py', 'scorer/model/bundle*.py')}"
    if not bundle.exists():
        export_model(folder, bundle)
    made = ModelBundle.load(bundle)
    print(
        json.dumps(
            {
                "folder": str(folder),
                "graph": str(graph),
                "bundle": str(bundle),
                "limit": made.max_tokens,
                "classes": made.class_names,
                "calibration": sample,
                "token_parameters": made.token_parameters,
                "variants": made.to_dict()["variants"],
            }
        )
    )


def _digest(*patterns: str) -> str:
    """Return a short hash of source files and of the versions of the libraries that make a model."""
    found = hashlib.sha256()
    for pattern in patterns:
        for file in sorted(ROOT.glob(pattern)):
            found.update(file.read_bytes())
    for package in ("torch", "transformers", "optimum-onnx", "onnxruntime"):
        found.update(metadata.version(package).encode())
    return found.hexdigest()[:12]


if __name__ == "__main__":
    main()
