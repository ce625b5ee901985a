"""The notebooks of docs/ run from a clean kernel and show what is committed."""

import getpass
import re
from pathlib import Path
from typing import Any

import pytest

from tests.notebooks.execute import DOCS, NOTEBOOKS, execute, read
from tests.support import SOAK

NUMBER = re.compile(r"-?\d[\d,]*\.?\d*")
MOST_BYTES = 400_000


def code_cells(book: Any) -> list[Any]:
    return [cell for cell in book.cells if cell.cell_type == "code"]


def shown(cell: Any) -> str:
    """Return what a cell prints and its result as text, without the blanks that align a table."""
    texts = [output.text if "text" in output else output.data["text/plain"] for output in cell.outputs]
    return " ".join(" ".join(texts).split())


def words(text: str) -> list[str]:
    return " ".join(NUMBER.split(text)).split()


def numbers(text: str) -> list[float]:
    return [float(number.replace(",", "")) for number in NUMBER.findall(text)]


def whole(text: str) -> list[str]:
    return [number for number in NUMBER.findall(text) if "." not in number]


def test_the_notebooks_are_these() -> None:
    assert [notebook.name for notebook in NOTEBOOKS] == ["tutorial.ipynb", "your-own-data.ipynb"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.name)
def test_committed_outputs_are_whole_and_of_no_machine(notebook: Path) -> None:
    cells = code_cells(read(notebook))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    text = "".join(str(output) for output in outputs)
    for place in (str(DOCS.parent), str(Path.home()), "/tmp/", "/home/", "site-packages", f"/{getpass.getuser()}/"):
        assert place not in text
    assert notebook.stat().st_size < MOST_BYTES


def test_the_tutorial_shows_what_is_committed(tmp_path: Path) -> None:
    committed, book = read(DOCS / "tutorial.ipynb"), execute(DOCS / "tutorial.ipynb", tmp_path)
    for then, now in zip(code_cells(committed), code_cells(book), strict=True):
        assert [sorted(output.get("data", ())) for output in now.outputs] == [
            sorted(output.get("data", ())) for output in then.outputs
        ]
        assert words(shown(now)) == words(shown(then))
        assert whole(shown(now)) == whole(shown(then))  # row numbers and counts
        assert numbers(shown(now)) == pytest.approx(numbers(shown(then)), abs=2e-3)  # other CPUs round otherwise


@SOAK
def test_your_own_data_shows_what_is_committed(tmp_path: Path) -> None:
    """Training on another CPU gives another model, which finds about as many of the changed labels."""
    notebook = DOCS / "your-own-data.ipynb"
    committed, book = read(notebook), execute(notebook, tmp_path)
    for then, now in zip(code_cells(committed), code_cells(book), strict=True):
        if "run.worst(5)" in now.source:
            continue
        assert words(shown(now)) == words(shown(then))
        assert numbers(shown(now)) == pytest.approx(numbers(shown(then)), rel=0.15, abs=0.03)
    found = next(shown(cell) for cell in code_cells(book) if "changed labels found" in cell.source)
    row = numbers(found)[5:10]
    assert row[1] == 50
    assert row[2] > 30  # of the worst 50 rows; among 50 other rows there would be 3
