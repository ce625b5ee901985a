"""A real headless Chromium, and a real `lossrank review` for it to open."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from playwright.sync_api import Browser, Page, sync_playwright

from lossrank.review.decision import Decision
from lossrank.review.store import DecisionStore
from scorer import ModelBundle, RunDirectory, ScoreOptions, score_dataset
from tests.support.tiny import make_texts

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = [  # nothing outside this machine is asked for anything
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]


def find_browser() -> str | None:
    """Return an installed Chromium's path; the environment's LOSSRANK_CHROMIUM names another one."""
    named = os.environ.get("LOSSRANK_CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser that ``find_browser`` finds."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=_FLAGS)
        yield browser
        browser.close()


@dataclass
class Reviewing:
    """A process of `lossrank review` and its page's address."""

    process: subprocess.Popen[str]
    address: str

    def kill(self) -> None:
        """End it as a lost power would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> str:
        """End it with Ctrl-C; return what it said."""
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=30)[0]


@contextlib.contextmanager
def reviewing(run: Path, *options: object) -> Iterator[Reviewing]:
    """Review a run on a free port."""
    program = [sys.executable, "-c", "from cli.entry import main; main()"]
    arguments = ["review", str(run), "--port", "0", "--no-browser", *map(str, options)]
    process = subprocess.Popen([*program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        yield Reviewing(process, process.stdout.readline().strip())
    finally:
        process.kill()
        process.communicate()


SCRIPT = "<script>document.title = 'taken over'</script>"
SCRIPT_ROW = 5


def hostile_run(bundle: ModelBundle, folder: Path) -> Path:
    """Score 80 rows, of which row 5 is a script."""
    texts = make_texts(80)
    texts[SCRIPT_ROW] = f"{SCRIPT} {texts[SCRIPT_ROW]}"
    pq.write_table(pa.table({"text": texts, "label": [i % 4 for i in range(80)]}), folder / "data.parquet")
    score_dataset(bundle, folder / "data.parquet", folder / "run", ScoreOptions(threads=1))
    return folder / "run"


def press(page: Page, key: str) -> None:
    """Press a key that leads to another page, and wait until that page takes keys."""
    with page.expect_navigation(wait_until="domcontentloaded"):
        page.keyboard.press(key)


def row_on(page: Page) -> int:
    """Return the number of the row that is shown."""
    return int(page.locator("article[data-row]").get_attribute("data-row") or -1)


def held(run: Path) -> dict[int, Decision]:
    """Return the decisions that hold."""
    with DecisionStore(RunDirectory.open(run)) as store:
        return store.current()


def other_key(label: int | None) -> str:
    """Return the key of a class that is not the given one."""
    return str(1 + (0 if label != 0 else 1))
