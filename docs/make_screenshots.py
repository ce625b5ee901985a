"""Take the pictures of docs/ on the demo's data, in a headless Chromium: python -m docs.make_screenshots."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from click.testing import CliRunner
from playwright.sync_api import Browser, Page

from cli.commands.demo import BUNDLE, DATA
from cli.main import run as lossrank
from scorer import score_dataset
from tests.support.browser import chromium, reviewing

DOCS = Path(__file__).parent
DESK, PHONE = (1200, 760), (390, 844)


@dataclass(frozen=True)
class Picture:
    """A picture of a page: what is done before it is taken, by width and height in pixels, and the colours."""

    name: str
    size: tuple[int, int] = DESK
    colours: Literal["light", "dark"] = "light"
    before: Callable[[Page], None] = lambda page: None


def _press(page: Page, keys: str) -> None:
    """Press keys, each of which leads to another page."""
    for key in keys:
        with page.expect_navigation():
            page.keyboard.press(key)


def _to_the_worst(page: Page) -> None:
    page.locator("#worst").evaluate("part => part.scrollIntoView()")


REVIEW = [
    Picture("review-light", before=lambda page: _press(page, "1k21x")),
    Picture("review-dark", colours="dark"),
    Picture("review-phone", PHONE),
    Picture("review-list", before=lambda page: _press(page, "l")),
]
REPORT = [
    Picture("report-light", (1180, 2300)),
    Picture("report-dark", (1180, 1500), "dark"),
    Picture("report-phone", (390, 1700)),
    Picture("ranking", (900, 718), before=_to_the_worst),
]


def take(browser: Browser, address: str, pictures: list[Picture]) -> None:
    """Take pictures of a page, one after the other."""
    for picture in pictures:
        width, height = picture.size
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=picture.colours)
        page.goto(address)
        picture.before(page)
        page.screenshot(path=DOCS / f"{picture.name}.png")
        page.close()


def main() -> None:
    """Take all pictures."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        run = Path(folder) / "lossrank-demo"
        score_dataset(BUNDLE, str(DATA), run)
        report = Path(folder) / "report.html"
        CliRunner().invoke(lossrank, ["report", str(run), "-o", str(report)], catch_exceptions=False)
        take(browser, report.as_uri(), REPORT)
        with reviewing(run, "--user", "ann") as review:
            take(browser, review.address, REVIEW)


if __name__ == "__main__":
    main()
