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

from playwright.sync_api import Browser, sync_playwright

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
