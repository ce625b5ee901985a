"""The pictures of docs/report.md: python -m docs.screenshot_report, with a Chromium installed."""

import shutil
import tempfile
from pathlib import Path
from typing import Literal

from click.testing import CliRunner
from playwright.sync_api import Browser, sync_playwright

from cli.demo import BUNDLE, DATA
from cli.main import run as lossrank
from scorer import score_dataset

DOCS = Path(__file__).parent
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_PICTURES: tuple[tuple[str, int, int, Literal["light", "dark"]], ...] = (
    ("report-light", 1180, 2300, "light"),
    ("report-dark", 1180, 1500, "dark"),
    ("report-phone", 390, 1700, "light"),
)


def take(browser: Browser, run: Path, folder: Path) -> None:
    """Write a run's report, open it and take its pictures into a folder."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "report.html"
        CliRunner().invoke(lossrank, ["report", str(run), "-o", str(file)], catch_exceptions=False)
        for name, width, height, colours in _PICTURES:
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=colours)
            page.goto(file.as_uri())
            page.screenshot(path=folder / f"{name}.png")
            page.close()


def main() -> None:
    """Take the pictures of the demo's run."""
    with tempfile.TemporaryDirectory() as place, sync_playwright() as started:
        score_dataset(BUNDLE, str(DATA), Path(place) / "run")
        browser = started.chromium.launch(executable_path=next(filter(None, map(shutil.which, _CHROMIUM)), None))
        take(browser, Path(place) / "run", DOCS)
        browser.close()


if __name__ == "__main__":
    main()
