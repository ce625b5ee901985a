"""Execute the notebooks of docs/ and keep their outputs: python -m docs.make_notebooks [NAME.ipynb ...]."""

import sys
import tempfile
from pathlib import Path

import nbformat

from tests.notebooks.execute import DOCS, NOTEBOOKS, execute

if __name__ == "__main__":
    for notebook in [DOCS / name for name in sys.argv[1:]] or NOTEBOOKS:
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(execute(notebook, Path(folder)), notebook)
