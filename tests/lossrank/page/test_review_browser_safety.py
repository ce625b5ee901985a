"""The review page in a real headless Chromium: no decision is lost, no text runs as a script, no other page gets in."""

import queue
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from lossrank.page.browser import browser_at
from lossrank.review.decision import DISCARDED, KEPT, RELABELLED
from scorer import rank
from tests.support.browser import SCRIPT, SCRIPT_ROW, held, other_key, press, reviewing, row_on
from tests.support.pages import page_of


def test_a_server_that_is_killed_after_a_decision_loses_nothing(hostile: Path, tab: Page) -> None:
    rows = rank(hostile, 3)
    with reviewing(hostile) as review:
        tab.goto(review.address)
        press(tab, other_key(rows[0].label))
        press(tab, "x")
        review.kill()
    assert [held(hostile)[row.row].verdict for row in rows[:2]] == [RELABELLED, DISCARDED]
    with reviewing(hostile) as review:
        tab.goto(review.address)
        assert row_on(tab) == rows[2].row
        assert "2 of 80 decided" in tab.inner_text(".progress")


def test_the_file_that_a_browser_is_told_of_leads_to_the_page(
    hostile: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: queue.Queue[str] = queue.Queue()
    monkeypatch.setattr("webbrowser.open", told.put)
    monkeypatch.setenv("BROWSER", "chromium")
    row = rank(hostile, 1)[0].row
    context = browser.new_context()
    page = context.new_page()
    with page_of(hostile) as review, browser_at(review.address):
        page.goto(told.get(timeout=30), wait_until="commit")
        page.wait_for_url(f"{review.address}**")
        press(page, "k")
        assert list(held(hostile)) == [row]
    context.close()


def test_a_script_in_a_text_stays_text(hostile: Path, tab: Page) -> None:
    with page_of(hostile, top=80) as review:
        for query in (f"?at={SCRIPT_ROW}", f"?at={SCRIPT_ROW}&search=script", "?view=list&search=taken over"):
            tab.goto(review.address + query)
            assert SCRIPT in tab.inner_text("main")
            assert "taken over" not in tab.title()
            assert tab.locator("main script").count() == 0


def test_two_tabs_lose_nothing_of_each_other(hostile: Path, tab: Page) -> None:
    rows = rank(hostile, 2)
    with page_of(hostile, "ann") as ann, page_of(hostile, "bob") as bob:
        tab.goto(ann.address)
        other = tab.context.new_page()
        other.goto(bob.address)
        press(other, "x")
        press(tab, "k")
        assert row_on(tab) == rows[0].row
        assert "Your “kept” was not stored" in tab.inner_text(".notice")
        assert "discarded by bob" in tab.inner_text(".held")
        assert held(hostile)[rows[0].row].annotator == "bob"
        tab.reload()  # requests the row and does not send the form again
        assert tab.locator(".notice").count() == 0
        press(tab, "k")
        assert held(hostile)[rows[0].row].annotator == "ann"
        assert row_on(tab) == rows[1].row


def test_a_key_that_is_hit_twice_decides_of_one_row(hostile: Path, tab: Page) -> None:
    with page_of(hostile) as review:
        tab.goto(review.address)
        first = row_on(tab)
        with tab.expect_navigation():
            tab.evaluate(
                "() => { for (let i = 0; i < 5; i++)"
                " document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'k', bubbles: true})) }"
            )
        assert list(held(hostile)) == [first]
        assert tab.locator(".notice").count() == 0


@pytest.mark.parametrize("then", ["Escape", "wait"])
def test_after_a_decision_that_was_stopped_on_its_way_the_page_takes_keys_again(
    hostile: Path, tab: Page, then: str
) -> None:
    with page_of(hostile) as review:
        tab.clock.install()
        tab.goto(review.address)
        first = row_on(tab)
        tab.route("**/decide*", lambda route: route.fulfill(status=204), times=1)  # no navigation, as after Stop
        with tab.expect_response("**/decide*"):
            tab.keyboard.press("x")
        tab.keyboard.press("k")  # ignored, since the next page may still load
        assert held(hostile) == {}
        if then == "wait":
            tab.clock.fast_forward(15_000)
        else:
            tab.keyboard.press(then)
        press(tab, "k")
        assert held(hostile)[first].verdict == KEPT


def test_a_page_of_another_origin_can_neither_read_nor_write(hostile: Path, tab: Page, browser: Browser) -> None:
    row = rank(hostile, 1)[0].row
    context = browser.new_context()
    evil = context.new_page()
    with page_of(hostile) as review, page_of(hostile) as elsewhere:
        tab.goto(review.address)  # the page is open in the victim's browser
        evil.goto(elsewhere.origin + "/")  # another origin of the same machine: another port
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
            f"() => new Promise(loaded => {{ const f = document.createElement('iframe'); f.src = {review.address!r};"
            " f.onload = loaded; document.body.append(f); })"
        )
        assert len(evil.frames) == 2
        assert all("data-row" not in frame.content() for frame in evil.frames)
        context.close()
    assert held(hostile) == {}
