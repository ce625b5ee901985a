"""Several runs in one process: one after the other, in threads, and inside asyncio."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import lossrank as lr
from scorer import ModelBundle

PARTS = 4


@pytest.fixture
def parts(rows: pa.Table) -> list[pa.Table]:
    """Tables of different rows and sizes."""
    return [rows.slice(100 * i, 150 + 50 * i) for i in range(PARTS)]


@pytest.fixture
def expected(parts: list[pa.Table], tiny_bundle: ModelBundle, tmp_path: Path) -> list[list[float]]:
    """The losses of each table, scored one after the other."""
    return [score(tiny_bundle, part, tmp_path / f"alone{i}") for i, part in enumerate(parts)]


def score(bundle: ModelBundle, part: pa.Table, folder: Path) -> list[float]:
    run = lr.score(bundle, part, folder, label_column="label", threads=2, progress=False)
    assert run.verify().complete
    worst = run.worst(5).to_pandas()
    assert worst["text"].tolist() == [part["text"][row].as_py() for row in worst["row"]]
    losses: list[float] = run.to_arrow()["loss"].to_pylist()
    return losses


def test_in_threads_each_run_has_its_own_losses(
    parts: list[pa.Table], expected: list[list[float]], tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(PARTS) as pool:
        found = list(pool.map(lambda i: score(tiny_bundle, parts[i], tmp_path / f"thread{i}"), range(PARTS)))
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-5)
    assert len({len(losses) for losses in found}) == PARTS


def test_inside_asyncio(
    parts: list[pa.Table], expected: list[list[float]], tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    async def main() -> list[list[float]]:
        direct = score(tiny_bundle, parts[0], tmp_path / "direct")
        beside = (asyncio.to_thread(score, tiny_bundle, parts[i], tmp_path / f"task{i}") for i in range(1, PARTS))
        return [direct, *await asyncio.gather(*beside)]

    with ThreadPoolExecutor(1) as pool:  # a browser of other tests may have a loop in this thread
        found = pool.submit(asyncio.run, main()).result()
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_two_threads_in_one_folder(rows: pa.Table, tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    """The second is refused while the first works, and finds the finished run afterwards."""
    refused: list[Exception] = []

    def meanwhile(step: lr.Step) -> None:
        if step.scoring is not None and not refused:
            with ThreadPoolExecutor(1) as pool:
                second = pool.submit(lr.score, tiny_bundle, rows, tmp_path / "run", progress=False)
            refused.extend([error] if isinstance(error := second.exception(), Exception) else [])

    first = lr.score(tiny_bundle, rows, tmp_path / "run", progress=meanwhile)
    assert [type(error) for error in refused] == [lr.RunError]
    again = lr.score(tiny_bundle, rows, tmp_path / "run", progress=False)
    assert np.array_equal(again.to_pandas()["loss"], first.to_pandas()["loss"])


def test_nothing_is_shown_where_there_is_no_terminal_and_no_notebook(
    rows: pa.Table, tiny_bundle: ModelBundle, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = lr.score(tiny_bundle, rows, tmp_path / "run")
    run.log(to="csv", output=tmp_path / "worst.csv")
    assert capfd.readouterr() == ("", "")
