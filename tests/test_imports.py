"""imports: scoring must stay light, and each package below the command line loads what it may and no more."""

import json
import subprocess
import sys

import pytest

from scorer import ModelBundle

HEAVY = {
    "accelerate",
    "click",
    "datasets",
    "fsspec",
    "httpx",
    "huggingface_hub",
    "jinja2",
    "onnx",
    "onnxruntime",
    "optimum",
    "pandas",
    "rich",
    "sklearn",
    "starlette",
    "tenacity",
    "torch",
    "transformers",
    "uvicorn",
    "vl_convert",
}
SCORING = {"numpy", "pyarrow", "tokenizers", "scorer"}


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has after a statement."""
    program = f"import json, sys\n{statement}\nprint(json.dumps(sorted({{n.partition('.')[0] for n in sys.modules}})))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return set(json.loads(done.stdout))


def test_scorer_is_light() -> None:
    loaded = loaded_by("import scorer")
    assert loaded >= SCORING
    assert not loaded & (HEAVY | {"cli", "exporter"})


def test_exporter_is_cheap_to_import() -> None:
    loaded = loaded_by("import exporter")
    assert "exporter" in loaded
    assert not loaded & (HEAVY | {"cli"})


def test_scoring_loads_onnxruntime_and_nothing_heavier(tiny_bundle: ModelBundle) -> None:
    loaded = loaded_by(
        "import pathlib, tempfile, pyarrow, scorer\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    table = pyarrow.table({'text': ['w1 w2', 'w3'], 'label': [0, 1]})\n"
        f"    scorer.score_dataset({str(tiny_bundle.path)!r}, table, pathlib.Path(folder) / 'run')\n"
        "    scorer.rank(pathlib.Path(folder) / 'run')"
    )
    assert "onnxruntime" in loaded
    # pyarrow itself imports pandas where that is installed, to know its arrays.
    assert not loaded & (HEAVY - {"onnxruntime", "pandas"})


@pytest.mark.parametrize("package", ["scorer", "exporter"])
def test_all_is_sorted_and_there(package: str) -> None:
    module = __import__(package)
    assert module.__all__ == sorted(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)
