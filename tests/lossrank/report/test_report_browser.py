"""The report in a real headless Chromium without a network: it sorts, searches, and runs no script from the data."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from cli.main import run as lossrank
from scorer import ScoreOptions, score_dataset
from tests.support.tiny import make_bundle

EVIL = "<script>document.title = 'broken'</script>"
LONG = "balance_not_updated_after_cheque_or_cash_deposit"
TEXTS = [
    f"w1 {EVIL}",
    "w2 <img src=x onerror=\"document.title='broken'\">",
    "w3 apple",
    "w4 banana </table></script>",
    "w5 apple banana",
    "w6 https://evil.example/pixel.png",
] * 5


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    bundle = make_bundle(folder / "bundle", (EVIL, "b", LONG, "d"))
    labels = [bundle.class_names[i % 4] for i in range(len(TEXTS))]
    pq.write_table(pa.table({"text": TEXTS, "label": labels}), folder / "news.parquet")
    score_dataset(bundle, folder / "news.parquet", folder / "run", ScoreOptions(threads=1))
    command = ["report", str(folder / "run"), "-o", str(folder / "report.html")]
    assert CliRunner().invoke(lossrank, command, catch_exceptions=False).exit_code == 0
    return folder / "report.html"


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Any]:
    """The report in a browser that is offline; any request but for the file itself, message or error fails the test."""
    context = browser.new_context(viewport={"width": 1100, "height": 900})
    context.set_offline(True)
    opened = context.new_page()
    requests: list[str] = []
    messages: list[str] = []
    opened.on("request", lambda request: requests.append(request.url))
    opened.on("console", lambda message: messages.append(message.text))
    opened.on("pageerror", lambda error: messages.append(str(error)))
    opened.on("dialog", lambda dialog: messages.append(dialog.message))
    opened.goto(report.as_uri())
    yield opened
    assert requests == [report.as_uri()]
    assert messages == []
    context.close()


def shown(page: Any, column: str) -> list[str]:
    found: list[str] = page.locator(f"#rows tbody tr:visible td[data-name='{column}']").all_inner_texts()
    return found


def test_texts_and_class_names_are_shown_as_they_are(page: Any) -> None:
    assert page.title() == "Label report: news.parquet"
    assert sorted(shown(page, "text")) == sorted(TEXTS)
    assert page.locator("img, #rows script").count() == 0
    assert any(EVIL in text for text in shown(page, "given"))
    assert page.locator("svg").count() == 5


def test_a_click_sorts_by_number_or_by_name_and_back(page: Any) -> None:
    losses = [float(loss) for loss in shown(page, "loss")]
    assert losses == sorted(losses, reverse=True)
    page.locator("#rows th button", has_text="row").click()
    assert shown(page, "row") == [str(i) for i in range(30)]
    page.locator("#rows th button", has_text="row").click()
    assert shown(page, "row") == [str(i) for i in reversed(range(30))]
    assert page.locator("#rows th[aria-sort='descending']").inner_text().startswith("row")
    page.locator("#rows th button", has_text="text").focus()
    page.keyboard.press("Enter")
    assert [text[:2] for text in shown(page, "text")] == sorted(text[:2] for text in TEXTS)


def test_search_shows_the_rows_that_have_every_word(page: Any) -> None:
    page.get_by_label("Search").fill("APPLE  ban")
    assert set(shown(page, "text")) == {"w5 apple banana"}
    assert page.locator("#shown").inner_text() == "5 of 30 rows"
    page.locator("#rows th button", has_text="row").click()
    assert len(shown(page, "text")) == 5
    page.get_by_label("Search").fill("")
    assert len(shown(page, "text")) == 30


def test_a_mark_says_its_numbers(page: Any) -> None:
    titles = page.locator(".wide path title, #confusion path title").all_text_contents()
    assert any(" nats: " in title for title in titles)
    assert any(f"given {EVIL}, predicted b: " in title for title in titles)


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1100])
def test_nothing_hangs_over_the_page_and_the_colours_follow(page: Any, colours: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=colours)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".chart:visible svg").count() == 3
    for text in page.locator("#rows td.text").all():
        box = text.bounding_box()
        assert box["x"] + box["width"] <= width
    red = int(page.evaluate("getComputedStyle(document.body).backgroundColor").split("(")[1].split(",")[0])
    assert (red < 60) == (colours == "dark")


def test_without_its_script_every_row_is_there(browser: Any, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(report.as_uri())
    assert opened.locator("#rows tbody tr:visible").count() == 30
    assert not opened.locator("#filter").is_visible()
    context.close()
