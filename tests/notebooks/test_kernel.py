"""lossrank in a notebook's kernel: bars, Ctrl-C in a cell, asyncio, and the review page beside other cells."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.notebooks.kernel import Cell, Kernel, drawn

ROWS, SHARD = 2400, 200
SCORE = f"""
run = lr.score(BUNDLE, news, "run", threads=1, batch_tokens=1024, window_rows={SHARD}, shard_rows={SHARD})
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def kernel(folder: Path) -> Iterator[Kernel]:
    with Kernel(folder) as kernel:
        started = kernel.run(
            "import asyncio, pandas as pd, lossrank as lr\n"
            "from cli.commands.demo import BUNDLE, DATA\n"
            f"news = pd.read_parquet(DATA)[:{ROWS}]"
        )
        assert started.error is None
        yield kernel


@pytest.fixture(scope="module")
def interrupted(kernel: Kernel) -> Cell:
    """A cell that scores and is interrupted when a quarter of the rows are done."""

    def quarter(message: dict[str, Any]) -> bool:
        bar = drawn(message)
        return bar is not None and bar[0] >= ROWS // 4

    return kernel.run(SCORE, stop_at=quarter)


@pytest.fixture(scope="module")
def whole(kernel: Kernel, interrupted: Cell) -> Cell:
    """The same rows scored in one go, in another folder."""
    return kernel.run(SCORE.replace('run = lr.score(BUNDLE, news, "run"', 'whole = lr.score(BUNDLE, news, "whole"'))


def shards(run: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in sorted((run / "scores").glob("*.parquet"))}


def test_an_interrupted_cell_ends_and_run_again_it_resumes(
    kernel: Kernel, folder: Path, interrupted: Cell, whole: Cell
) -> None:
    assert interrupted.error == "KeyboardInterrupt"
    before = shards(folder / "run")
    assert 0 < len(before) < ROWS // SHARD
    status = kernel.run('status = lr.status("run")\nprint(status.state, status.done)')
    assert (status.error, status.printed.split()) == (None, ["interrupted", str(len(before) * SHARD)])

    again = kernel.run(SCORE + "print(len(run.to_pandas()))")
    assert (again.error, again.printed.split()) == (None, [str(ROWS)])
    assert again.bars[0][0] >= len(before) * SHARD  # what was done is not done again
    after = shards(folder / "run")
    assert before.items() <= after.items()
    assert len(after) == ROWS // SHARD
    same = kernel.run("print(run.to_arrow() == whole.to_arrow(), run.verify().complete)")
    assert (same.error, same.printed.split()) == (None, ["True", "True"])


def test_a_bar_shows_the_rows_below_the_cell(whole: Cell) -> None:
    assert whole.error is None
    assert next(message["msg_type"] for message in whole.messages if drawn(message)) == "display_data"
    assert whole.bars == sorted(whole.bars)
    assert whole.bars[-1] == (ROWS, ROWS)
    assert len(whole.bars) > 2
    assert whole.printed + whole.complaints == ""


def test_no_bar_if_none_is_wanted(kernel: Kernel) -> None:
    quiet = kernel.run('lr.score(BUNDLE, news[:50], "quiet", progress=False);')
    assert (quiet.error, quiet.bars, quiet.printed + quiet.complaints) == (None, [], "")


def test_await_in_a_cell(kernel: Kernel) -> None:
    """A kernel runs cells in a running loop; two runs at once leave the loop free for other cells' work."""
    cell = kernel.run("""
parts = news[:100], news[100:200].reset_index(drop=True)
ticks = 0
async def tick():
    global ticks
    while True:
        ticks += 1
        await asyncio.sleep(0.001)
beside = asyncio.create_task(tick())
runs = await asyncio.gather(
    *(asyncio.to_thread(lr.score, BUNDLE, part, f"part{i}", progress=False) for i, part in enumerate(parts))
)
beside.cancel()
together = [loss for run in runs for loss in run.to_pandas()["loss"]]
alone = lr.score(BUNDLE, news[:200], "both", progress=False).to_pandas()["loss"]
print(max(abs(alone - together)) < 1e-4, ticks > 5)
""")
    assert (cell.error, cell.printed.split()) == (None, ["True", "True"])


def test_the_review_page_is_served_while_other_cells_run(kernel: Kernel) -> None:
    opened = kernel.run(
        'few = lr.score(BUNDLE, news[:50], "few", progress=False)\nreview = few.review(user="ann")\nprint(review.url)'
    )
    assert opened.error is None
    with urllib.request.urlopen(opened.printed.strip()) as page:
        assert page.status == 200
    closed = kernel.run("review.stop()\nprint(1 + 1)")
    assert (closed.error, closed.printed.split()) == (None, ["2"])
