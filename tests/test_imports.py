"""imports: scoring must stay light, and each package below the command line loads what it may and no more."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import lossrank
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
QUIET = """import contextlib, io
nowhere = io.StringIO()
with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):"""
SCORING = {"numpy", "pyarrow", "tokenizers", "scorer"}


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has after a statement."""
    program = f"import json, sys\n{statement}\nprint(json.dumps(sorted({{n.partition('.')[0] for n in sys.modules}})))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("package", ["scorer", "lossrank"])
def test_a_library_is_light(package: str) -> None:
    loaded = loaded_by(f"import {package}")
    assert package in loaded
    assert not loaded & ((HEAVY | SCORING | {"cli", "exporter"}) - {package})


def test_scorers_names_need_little() -> None:
    loaded = loaded_by("from scorer import *; rank")
    assert loaded >= SCORING
    assert not loaded & (HEAVY | {"cli", "exporter", "lossrank"})


@pytest.mark.parametrize("arguments", ["", "--help", "--version"])
def test_the_commands_help_needs_click_alone(arguments: str) -> None:
    run = f"import sys; sys.argv = 'lossrank {arguments}'.split()\nfrom lossrank.__main__ import main"
    loaded = loaded_by(f"{run}\n{QUIET}\n    try: main()\n    except SystemExit: pass")
    assert loaded >= {"click", "cli"}
    assert not loaded & (HEAVY | SCORING) - {"click", "scorer"}


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


@pytest.mark.parametrize("package", ["exporter", "lossrank", "scorer"])
def test_all_names_are_there(package: str) -> None:
    module = __import__(package)
    assert len(set(module.__all__)) == len(module.__all__)
    assert set(dir(module)) >= set(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


@pytest.mark.parametrize("package", ["lossrank", "scorer"])
def test_an_unknown_name_is_an_attribute_error(package: str) -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = __import__(package).no_such_name


def test_the_version_is_the_installed_one() -> None:
    assert lossrank.__version__ == metadata.version("lossrank")


def test_ranking_loads_no_pandas(run: Path) -> None:
    loaded = loaded_by(
        f"import scorer\nrun = scorer.RunDirectory.open({str(run)!r})\nscorer.join_source(run, scorer.rank(run))"
    )
    assert loaded >= SCORING - {"tokenizers"}
    assert not loaded & HEAVY
