"""Execute a notebook of docs/ from a clean kernel, in a folder of its own and without a network."""

import os
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from tests.support import ROOT

DOCS = ROOT / "docs"
NOTEBOOKS = sorted(DOCS.glob("*.ipynb"))
_LONGEST = 600  # seconds of a cell


def read(notebook: Path) -> Any:
    """Return a notebook as it is on disk."""
    return nbformat.read(notebook, as_version=4)


def execute(notebook: Path, folder: Path) -> Any:
    """Return the notebook with new outputs, and nothing else that differs between machines.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    work = folder / "work"
    work.mkdir()
    book = read(notebook)
    for cell in book.cells:
        cell.metadata = {}
    client = NotebookClient(
        book, timeout=_LONGEST, record_timing=False, resources={"metadata": {"path": str(work)}}, kernel_name="python3"
    )
    client.execute(env=kernel_environment(folder))
    book.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return book


def kernel_environment(folder: Path) -> dict[str, str]:
    """Return a kernel's environment: no settings and caches of the user, no network."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        "IPYTHONDIR": str(folder / "ipython"),
        "HF_HOME": str(folder / "huggingface"),
        "HF_HUB_OFFLINE": "1",
        "PYTHONWARNINGS": "ignore:IProgress not found",  # tqdm wants widgets to show bars that nobody asked for
        "OMP_NUM_THREADS": "1",  # torch's threads would only wait for each other in models this small
    }
