"""The review page in a real headless Chromium, served by the real command."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import click.testing
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, Page

from cli.demo import DATA
from cli.review.decision import DISCARDED, KEPT, RELABELLED, Decision
from cli.review.store import DecisionStore
from scorer import ModelBundle, RunDirectory, ScoreOptions, rank, score_dataset
from tests.browser import chromium, find_browser, reviewing
from tests.tiny import CLASSES, make_bundle, make_texts

SCRIPT = "<script>document.title = 'taken over'</script> w1 w2"

# CI has one: there, a missing browser fails these tests.
pytestmark = pytest.mark.skipif(
    find_browser() is None and os.environ.get("CI") != "true",
    reason="no Chromium here; `make browser` installs it on Debian",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def hostile(tiny_bundle: ModelBundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scored run of 80 rows, of which the worst is a script."""
    folder = tmp_path_factory.mktemp("hostile")
    pq.write_table(pa.table({"text": make_texts(80), "label": [i % 4 for i in range(80)]}), folder / "data.parquet")
    run = folder / "run"
    score_dataset(tiny_bundle, folder / "data.parquet", run, ScoreOptions(threads=1))
    worst = rank(run, 1)[0]
    texts = make_texts(80)
    texts[worst.row] = f"{SCRIPT} {texts[worst.row]}"
    pq.write_table(pa.table({"text": texts, "label": [i % 4 for i in range(80)]}), folder / "data.parquet")
    score_dataset(tiny_bundle, folder / "data.parquet", run, ScoreOptions(threads=1), overwrite=True)
    return run


@pytest.fixture
def own(hostile: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(hostile, tmp_path / "run", ignore=shutil.ignore_patterns("review.sqlite*")))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A new tab, which fails the test if the page's script fails or asks another machine for anything."""
    context = browser.new_context()
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)
    page.on("request", lambda asked: None if "//127.0.0.1:" in asked.url else faults.append(asked.url))
    yield page
    context.close()
    assert faults == []


def press(page: Page, key: str) -> None:
    """Press a key that leads to another page."""
    with page.expect_navigation():
        page.keyboard.press(key)


def row_on(page: Page) -> int:
    return int(page.locator("article[data-row]").get_attribute("data-row") or -1)


def held(run: Path) -> dict[int, Decision]:
    with DecisionStore(RunDirectory.open(run)) as store:
        return store.current()


def other_key(label: int | None) -> str:
    """Return the key of a class that is not the given one."""
    return str(1 + (0 if label != 0 else 1))


def test_ten_rows_are_decided_by_keys_and_a_reload_and_a_new_server_go_on_after_them(own: Path, page: Page) -> None:
    rows = rank(own, 11)
    wanted = {}
    with reviewing(own, "--user", "ann") as review:
        page.goto(review.address)
        for place, row in enumerate(rows[:10]):
            assert row_on(page) == row.row
            key = "k" if place % 3 == 1 else "x" if place % 3 == 2 else other_key(row.label)
            wanted[row.row] = {"k": (KEPT, None), "x": (DISCARDED, None)}.get(key) or (
                RELABELLED,
                CLASSES[int(key) - 1],
            )
            press(page, key)
            assert held(own)[row.row].annotator == "ann"  # at once
        assert {row: (one.verdict, one.label) for row, one in held(own).items()} == wanted
        page.reload()
        assert row_on(page) == rows[10].row
        assert "10 of 80 decided" in page.inner_text(".progress")
    with reviewing(own) as review:
        page.goto(review.address)
        assert row_on(page) == rows[10].row


def test_from_the_demo_to_ten_decisions_to_a_data_set_that_differs_in_just_those_rows(
    page: Page, tmp_path: Path, lossrank: Callable[..., click.testing.Result]
) -> None:
    run, output = tmp_path / "run", tmp_path / "corrected.parquet"
    demo = lossrank("demo", "-o", run)
    assert f"lossrank review {run}\n" in demo.stdout
    decided = {}
    with reviewing(run, "--user", "ann") as review:
        page.goto(review.address)
        for row, key in zip(rank(run, 10), "12k34x12k3", strict=True):
            assert row_on(page) == row.row
            given = None if row.label is None else str(row.label + 1)
            key = other_key(row.label) if key == given else key
            decided[row.row] = key
            press(page, key)
        assert f"lossrank apply {run} -o OUT" in review.stop()
    assert lossrank("apply", run, "-o", output, "--allow-test-split").exit_code == 0
    before, after = pq.read_table(DATA), pq.read_table(output)
    assert after["text"].to_pylist() == before["text"].to_pylist()
    labels = before["label"].to_pylist()
    assert after["original_label"].to_pylist() == labels
    statuses = ["unreviewed"] * len(labels)
    for row, key in decided.items():
        statuses[row] = {"k": KEPT, "x": DISCARDED}.get(key, RELABELLED)
        labels[row] = labels[row] if key in "kx" else int(key) - 1
    assert after["label_status"].to_pylist() == statuses
    assert after["label"].to_pylist() == labels
    assert sum(one != two for one, two in zip(labels, before["label"].to_pylist(), strict=True)) == 7


def test_a_server_that_is_killed_after_a_decision_loses_nothing(own: Path, page: Page) -> None:
    rows = rank(own, 3)
    with reviewing(own) as review:
        page.goto(review.address)
        press(page, other_key(rows[0].label))
        press(page, "x")
        review.kill()
    assert [held(own)[row.row].verdict for row in rows[:2]] == [RELABELLED, DISCARDED]
    with reviewing(own) as review:
        page.goto(review.address)
        assert row_on(page) == rows[2].row
        assert "2 of 80 decided" in page.inner_text(".progress")


def test_u_takes_back_one_decision_after_the_other(own: Path, page: Page) -> None:
    rows = rank(own, 3)
    with reviewing(own) as review:
        page.goto(review.address)
        press(page, "k")
        press(page, "x")
        press(page, "u")
        assert row_on(page) == rows[1].row
        press(page, "u")
        assert row_on(page) == rows[0].row
        assert held(own) == {}
        page.keyboard.press("u")
        assert page.locator(".undo").count() == 0
        assert row_on(page) == rows[0].row


def test_a_script_in_a_text_stays_text(own: Path, page: Page) -> None:
    row = _script_row(own)
    with reviewing(own) as review:
        for query in (f"?at={row}", f"?at={row}&search=script", "?view=list&search=taken over"):
            page.goto(review.address + query)
            assert "<script>document.title = 'taken over'</script>" in page.inner_text("main")
            assert "taken over" not in page.title()
            assert page.locator("main script").count() == 0


def _script_row(run: Path) -> int:
    spec = RunDirectory.open(run).manifest["data"]["spec"]["data"]
    texts = pq.read_table(spec if isinstance(spec, str) else spec[0])["text"].to_pylist()
    return next(row for row, text in enumerate(texts) if text.startswith("<script>"))


def test_two_tabs_lose_nothing_of_each_other(own: Path, page: Page) -> None:
    rows = rank(own, 2)
    with reviewing(own, "--user", "ann") as ann, reviewing(own, "--user", "bob") as bob:
        page.goto(ann.address)
        tab = page.context.new_page()
        tab.goto(bob.address)
        press(tab, "x")
        press(page, "k")
        assert row_on(page) == rows[0].row
        assert "Your “kept” was not stored" in page.inner_text(".notice")
        assert "discarded by bob" in page.inner_text(".held")
        assert held(own)[rows[0].row].annotator == "bob"
        page.reload()  # asks for the row, and sends nothing again
        assert page.locator(".notice").count() == 0
        press(page, "k")
        assert held(own)[rows[0].row].annotator == "ann"
        assert row_on(page) == rows[1].row


def test_a_key_that_is_hit_twice_decides_of_one_row(own: Path, page: Page) -> None:
    with reviewing(own) as review:
        page.goto(review.address)
        first = row_on(page)
        with page.expect_navigation():
            page.evaluate(
                "() => { for (let i = 0; i < 5; i++)"
                " document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'k', bubbles: true})) }"
            )
        assert list(held(own)) == [first]
        assert page.locator(".notice").count() == 0


def test_keys_move_without_deciding(own: Path, page: Page) -> None:
    rows = [row.row for row in rank(own, 4)]
    with reviewing(own) as review:
        page.goto(review.address)
        seen = [row_on(page)]
        for key in ("j", "n", "ArrowRight", "p", "ArrowLeft"):
            press(page, key)
            seen.append(row_on(page))
    assert seen == [rows[0], rows[1], rows[2], rows[3], rows[2], rows[1]]
    assert held(own) == {}


def test_search_takes_letters_as_letters(own: Path, page: Page) -> None:
    with reviewing(own) as review:
        page.goto(review.address)
        page.keyboard.press("/")
        page.keyboard.type("taken OVER")
        press(page, "Enter")
        assert row_on(page) == _script_row(own)
        assert page.inner_text("mark") == "taken over"
        page.keyboard.press("/")
        page.keyboard.type("k1x")
        assert held(own) == {}
        page.keyboard.press("Escape")
        press(page, "k")
        assert list(held(own)) == [_script_row(own)]
        assert "All 1 of these are decided" in page.inner_text("main")


def test_choosing_a_filter_is_enough(own: Path, page: Page) -> None:
    rows = rank(own, 80)
    with reviewing(own) as review:
        page.goto(review.address)
        with page.expect_navigation():
            page.locator("select[name=given]").select_option(label=f"Business ({sum(r.label == 2 for r in rows)})")
        assert row_on(page) == next(row.row for row in rows if row.label == 2)
        press(page, "k")
        press(page, "l")
        assert len(page.locator(".list > li").all()) == sum(row.label == 2 for row in rows)
        with page.expect_navigation():
            page.get_by_label("Status").select_option("decided")
        assert page.locator(".list > li").count() == 1
        with page.expect_navigation():
            page.get_by_text("Clear filters").click()
        assert page.locator(".list > li").count() == 50


def test_in_the_list_keys_are_for_the_row_that_has_the_focus(own: Path, page: Page) -> None:
    rows = rank(own, 4)
    with reviewing(own) as review:
        page.goto(f"{review.address}?view=list")
        page.keyboard.press("j")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("p")
        press(page, "x")
        assert list(held(own)) == [rows[1].row]
        focused = page.evaluate("document.activeElement.dataset.row")
        assert int(focused) == rows[2].row
        press(page, "Enter")
        assert row_on(page) == rows[2].row


def test_help_shows_the_keys_and_while_it_is_open_they_decide_nothing(own: Path, page: Page) -> None:
    with reviewing(own) as review:
        page.goto(review.address)
        assert not page.locator("#help").is_visible()
        page.keyboard.press("?")
        assert page.locator("#help").is_visible()
        page.keyboard.press("k")
        page.keyboard.press("Escape")
        assert not page.locator("#help").is_visible()
        assert held(own) == {}


def test_of_many_classes_another_one_is_chosen_with_c(page: Page, tmp_path: Path) -> None:
    names = tuple(f"intent {i:02}" for i in range(30))
    bundle = make_bundle(tmp_path / "bundle", names)
    pq.write_table(pa.table({"text": make_texts(10), "label": [7] * 10}), tmp_path / "data.parquet")
    score_dataset(bundle, tmp_path / "data.parquet", tmp_path / "run", ScoreOptions(threads=1))
    first = rank(tmp_path / "run", 1)[0]
    with reviewing(tmp_path / "run") as review:
        page.goto(review.address)
        page.keyboard.press("c")
        page.keyboard.type("intent 23")
        with page.expect_navigation():
            page.get_by_role("button", name="Relabel").click()
    assert held(tmp_path / "run")[first.row].label == "intent 23"


def test_a_page_of_another_origin_can_neither_read_nor_write(own: Path, page: Page, browser: Browser) -> None:
    row = rank(own, 1)[0].row
    context = browser.new_context()
    evil = context.new_page()
    with reviewing(own) as review, reviewing(own) as elsewhere:
        page.goto(review.address)  # the victim has it open
        evil.goto(elsewhere.address.rsplit("/", 2)[0] + "/")  # another origin of the same machine: another port
        body = f"row={row}&seen=0&verdict=discarded"
        evil.context.route("**/evil", lambda route: route.fulfill(body="<p>hello", content_type="text/html"))
        evil.goto("http://evil.example/evil")
        read = evil.evaluate(f"fetch({review.address!r}).then(a => a.text()).catch(error => 'refused')")
        assert read == "refused"
        evil.evaluate(
            f"fetch({review.address + 'decide'!r}, {{method: 'POST', mode: 'no-cors', body: {body!r},"
            " headers: {'Content-Type': 'application/x-www-form-urlencoded'}}).catch(error => null)"
        )
        with evil.expect_navigation():
            evil.evaluate(
                f"() => {{ const form = document.createElement('form'); form.method = 'post';"
                f" form.action = {review.address + 'decide'!r};"
                f" for (const pair of {body!r}.split('&')) {{ const field = document.createElement('input');"
                " [field.name, field.value] = pair.split('='); form.append(field); }"
                " document.body.append(form); form.submit(); }"
            )
        assert "Only the page itself may decide" in evil.inner_text("body")
        evil.goto("http://evil.example/evil")
        evil.evaluate(
            f"() => {{ const f = document.createElement('iframe'); f.src = {review.address!r};"
            " document.body.append(f); }"
        )
        evil.wait_for_load_state("networkidle")
        assert len(evil.frames) == 2
        assert all("data-row" not in frame.content() for frame in evil.frames)
        context.close()
    assert held(own) == {}


def test_everything_can_be_done_without_javascript(own: Path, browser: Browser) -> None:
    rows = rank(own, 2)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    with reviewing(own) as review:
        page.goto(review.address)
        page.get_by_role("button", name="Discard").click()
        assert row_on(page) == rows[1].row
        page.get_by_label("Status").select_option("decided")
        page.get_by_role("button", name="Filter").click()
        assert row_on(page) == rows[0].row
        page.get_by_role("button", name="Undo").click()
    context.close()
    assert held(own) == {}
