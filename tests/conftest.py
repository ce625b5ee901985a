"""What the tests share."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click.testing
import hypothesis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli import main
from scorer import ModelBundle, RunDirectory, ScoreOptions, score_dataset
from tests.support import SHARED
from tests.support.tiny import CLASSES, make_bundle, make_texts

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.support.cases import Case

TOGETHER = {
    "torch": ("tests/families/", "tests/exporter/elsewhere/", "tests/scorer/model/test_against_torch.py"),
    "exports": ("tests/exporter/",),
    "browser": ("tests/lossrank/page/test_review_browser", "tests/lossrank/report/test_report_browser"),
}


def pytest_configure() -> None:
    """Give child processes every signal's default, under nohup too.

    A signal that is ignored here is ignored in each child as well. One with a handler, which does nothing here, is not:
    a new program starts with the default.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda number, frame: None)
    # torch is loaded later, here and in children. The tests' models are so small that its threads only wait for each
    # other: with two, an export takes ten times the CPU time.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    hypothesis.settings.register_profile("busy", deadline=None)  # no time decides a test
    hypothesis.settings.load_profile("busy")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep files that need torch, or the browser, together on a worker: to load it takes seconds."""
    from xdist.scheduler import LoadFileScheduling

    if config.getvalue("dist") != "loadfile":
        return None

    class Grouped(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return next((name for name, starts in TOGETHER.items() if file.startswith(starts)), file)

    return Grouped(config, log)


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """A real bundle whose numbers tests/support/tiny.py can compute by hand."""
    return make_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture(scope="session")
def rows() -> pa.Table:
    """1,000 texts with numbered labels."""
    texts = make_texts(1000)
    labels = np.random.default_rng(1).integers(0, len(CLASSES), size=len(texts))
    return pa.table({"text": texts, "label": labels, "note": [f"note {i}" for i in range(len(texts))]})


@pytest.fixture(scope="module")
def data(rows: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rows in a file, which no test of a module changes."""
    file = tmp_path_factory.mktemp("data") / "news.parquet"
    pq.write_table(rows, file)
    return file


@pytest.fixture(scope="module")
def run(tiny_bundle: ModelBundle, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file's rows, scored."""
    path = tmp_path_factory.mktemp("run") / "run"
    score_dataset(tiny_bundle, data, path, ScoreOptions(threads=1))
    return path


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """A headless Chromium; skips where there is none, but not in CI, which installs one."""
    from tests.support.browser import chromium, find_browser

    if find_browser() is None and os.environ.get("CI") != "true":
        pytest.skip("no Chromium here; `make browser` installs it on Debian")
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def window(browser: "Browser") -> "Iterator[Page]":
    """A tab for ``tab``: to open one takes as long as a short test."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def tab(window: "Page") -> "Iterator[Page]":
    """An empty tab, which fails the test if a page's script fails, breaks the page's policy or asks another machine."""
    faults: list[str] = []
    listeners: dict[Any, Callable[[Any], None]] = {
        "pageerror": lambda error: faults.append(str(error)),
        "console": lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None,
        "request": lambda asked: None if "//127.0.0.1:" in asked.url else faults.append(asked.url),
    }
    for event, listener in listeners.items():
        window.on(event, listener)
    yield window
    for event, listener in listeners.items():
        window.remove_listener(event, listener)
    for other in window.context.pages[1:]:
        other.close()
    window.set_viewport_size({"width": 1280, "height": 720})
    window.goto("about:blank")
    assert faults == []


@pytest.fixture(scope="session")
def undecided(tiny_bundle: ModelBundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 80 rows, one of which is a script; for ``hostile`` to copy."""
    from tests.support.browser import hostile_run

    return hostile_run(tiny_bundle, tmp_path_factory.mktemp("hostile"))


@pytest.fixture
def hostile(undecided: Path, tmp_path: Path) -> Path:
    """A run of 80 rows, one of which is a script, for this test alone."""
    return Path(shutil.copytree(undecided, tmp_path / "run"))


@pytest.fixture
def case(tiny_bundle: ModelBundle, tmp_path: Path) -> "Case":
    """A run of sixty rows, whose worst go out in files."""
    from tests.support.cases import make_case

    return make_case(tiny_bundle, tmp_path)


@pytest.fixture
def fresh(run: Path) -> RunDirectory:
    """The scored run without decisions."""
    for file in run.glob("review.sqlite*"):
        file.unlink()
    return RunDirectory.open(run)


@pytest.fixture
def lossrank(monkeypatch: pytest.MonkeyPatch) -> Callable[..., click.testing.Result]:
    """Run the command line in this process: ``lossrank("rank", run, "--top", 5)``."""
    monkeypatch.setenv("COLUMNS", "120")

    def call(*arguments: object) -> click.testing.Result:
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            result = click.testing.CliRunner().invoke(main.run, [str(argument) for argument in arguments])
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@pytest.fixture(scope="session")
def shared() -> Path:
    """The founders' folder of real data and models; tests that use it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("../shared is not here")
    return SHARED


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB; skips where this user may not mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a tmpfs needs root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture
def freeze() -> Iterator[Callable[[Path], None]]:
    """Make folders read-only until the test ends, for root too; skips where root may not mount."""
    frozen: list[Path] = []

    def freezing(folder: Path) -> None:
        if os.geteuid() != 0:
            folder.chmod(0o500)
        elif subprocess.run(
            ["mount", "--bind", "-o", "ro", folder, folder], capture_output=True, check=False
        ).returncode:
            pytest.skip("this root may not mount")
        frozen.append(folder)

    yield freezing
    for folder in frozen:
        if os.geteuid() != 0:
            folder.chmod(0o700)
        else:
            subprocess.run(["umount", str(folder)], check=True)
