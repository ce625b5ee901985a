"""The review page in a real headless Chromium: decisions, undo, search and moving between rows."""

from collections.abc import Callable
from pathlib import Path

import click.testing
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, Page

from cli.commands.demo import DATA
from lossrank.review.decision import DISCARDED, KEPT, RELABELLED
from scorer import ScoreOptions, rank, score_dataset
from tests.support import SOAK
from tests.support.browser import SCRIPT_ROW, held, other_key, press, reviewing, row_on
from tests.support.facts import tells
from tests.support.pages import page_of
from tests.support.tiny import CLASSES, make_bundle, make_texts


def test_ten_rows_are_decided_by_keys_and_a_reload_and_a_new_server_go_on_after_them(hostile: Path, tab: Page) -> None:
    rows = rank(hostile, 11)
    wanted = {}
    with page_of(hostile, "ann", top=80) as review:
        tab.goto(review.address)
        for place, row in enumerate(rows[:10]):
            assert row_on(tab) == row.row
            key = "k" if place % 3 == 1 else "x" if place % 3 == 2 else other_key(row.label)
            wanted[row.row] = {"k": (KEPT, None), "x": (DISCARDED, None)}.get(key) or (
                RELABELLED,
                CLASSES[int(key) - 1],
            )
            press(tab, key)
            assert held(hostile)[row.row].annotator == "ann"  # saved before the next row is shown
        assert {row: (decision.verdict, decision.label) for row, decision in held(hostile).items()} == wanted
        tab.reload()
        assert row_on(tab) == rows[10].row
        assert "10 of 80 decided" in tab.inner_text(".progress")
    with page_of(hostile, top=80) as review:
        tab.goto(review.address)
        assert row_on(tab) == rows[10].row


@SOAK
def test_from_the_demo_to_ten_decisions_to_a_data_set_that_differs_in_just_those_rows(
    tab: Page, tmp_path: Path, lossrank: Callable[..., click.testing.Result]
) -> None:
    run, output = tmp_path / "run", tmp_path / "corrected.parquet"
    demo = lossrank("demo", "-o", run)
    assert f"lossrank review {run}\n" in demo.stdout
    decided = {}
    with reviewing(run, "--user", "ann") as review:
        tab.goto(review.address)
        for row, key in zip(rank(run, 10), "12k34x12k3", strict=True):
            assert row_on(tab) == row.row
            given = None if row.label is None else str(row.label + 1)
            key = other_key(row.label) if key == given else key
            decided[row.row] = key
            press(tab, key)
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
    assert sum(new != old for new, old in zip(labels, before["label"].to_pylist(), strict=True)) == 7


def test_u_takes_back_one_decision_after_the_other(hostile: Path, tab: Page) -> None:
    rows = rank(hostile, 3)
    with page_of(hostile, top=80) as review:
        tab.goto(review.address)
        press(tab, "k")
        press(tab, "x")
        press(tab, "u")
        assert row_on(tab) == rows[1].row
        press(tab, "u")
        assert row_on(tab) == rows[0].row
        assert held(hostile) == {}
        tab.keyboard.press("u")
        assert tab.locator(".undo").count() == 0
        assert row_on(tab) == rows[0].row


def test_back_leads_to_the_row_that_was_decided_which_can_be_decided_anew(hostile: Path, tab: Page) -> None:
    rows = rank(hostile, 3)
    with page_of(hostile) as review:
        tab.goto(review.address)
        press(tab, "x")
        press(tab, "k")
        tab.go_back()
        tab.go_back()
        assert row_on(tab) == rows[0].row
        assert "discarded by ann" in tab.inner_text(".held")
        press(tab, "k")
        assert held(hostile)[rows[0].row].verdict == KEPT
        assert row_on(tab) == rows[2].row
        tab.go_back()
        tab.reload()
        assert row_on(tab) == rows[0].row
        assert "kept by ann" in tab.inner_text(".held")


def test_a_page_that_the_browser_kept_is_asked_for_again_and_takes_no_key_before(hostile: Path, tab: Page) -> None:
    with page_of(hostile) as review, page_of(hostile, "bob") as bob:
        tab.goto(review.address)
        bob.post("decide", row=row_on(tab), seen=0, verdict=DISCARDED)
        with tab.expect_navigation():
            tab.evaluate(
                "() => { dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}));"
                " document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'j', bubbles: true})) }"
            )
        assert "discarded by bob" in tab.inner_text(".held")


def test_keys_move_without_deciding_and_with_caps_lock_too(hostile: Path, tab: Page) -> None:
    rows = [row.row for row in rank(hostile, 4)]
    with page_of(hostile, top=80) as review:
        tab.goto(review.address)
        seen = [row_on(tab)]
        for key in ("j", "n", "ArrowRight", "P", "ArrowLeft"):
            press(tab, key)
            seen.append(row_on(tab))
    assert seen == [rows[0], rows[1], rows[2], rows[3], rows[2], rows[1]]
    assert held(hostile) == {}


@pytest.mark.parametrize("sign", ["&", "ě"])  # on the digit keys of French and Czech keyboards
def test_a_key_is_the_same_one_where_the_layout_has_another_sign_on_it(hostile: Path, tab: Page, sign: str) -> None:
    first, second = rank(hostile, 2)
    digit = other_key(second.label)
    with page_of(hostile) as review:
        tab.goto(review.address)
        for key, code in (("л", "KeyK"), (sign, f"Digit{digit}")):
            with tab.expect_navigation():
                tab.dispatch_event("body", "keydown", {"key": key, "code": code})
    found = {row: (decision.verdict, decision.label) for row, decision in held(hostile).items()}
    assert found == {first.row: (KEPT, None), second.row: (RELABELLED, CLASSES[int(digit) - 1])}


def test_search_takes_letters_as_letters(hostile: Path, tab: Page) -> None:
    with page_of(hostile, top=80) as review:
        tab.goto(review.address)
        tab.keyboard.press("/")
        tab.keyboard.type("taken OVER")
        press(tab, "Enter")
        assert row_on(tab) == SCRIPT_ROW
        assert tab.inner_text("mark") == "taken over"
        tab.keyboard.press("/")
        tab.keyboard.type("k1x")
        assert held(hostile) == {}
        tab.keyboard.press("Escape")
        press(tab, "k")
        assert list(held(hostile)) == [SCRIPT_ROW]
        assert tells(tab.inner_text("main"), "All 1", "are decided")


def test_choosing_a_filter_is_enough(hostile: Path, tab: Page) -> None:
    rows = rank(hostile, 80)
    with page_of(hostile, top=80) as review:
        tab.goto(review.address)
        with tab.expect_navigation():
            tab.locator("select[name=given]").select_option(label=f"Business ({sum(r.label == 2 for r in rows)})")
        assert row_on(tab) == next(row.row for row in rows if row.label == 2)
        press(tab, "k")
        press(tab, "l")
        assert len(tab.locator(".list > li").all()) == sum(row.label == 2 for row in rows)
        with tab.expect_navigation():
            tab.get_by_label("Status").select_option("decided")
        assert tab.locator(".list > li").count() == 1
        with tab.expect_navigation():
            tab.get_by_text("Clear filters").click()
        assert tab.locator(".list > li").count() == 50


def test_on_a_phone_filters_can_be_cleared_without_scrolling_to_where(hostile: Path, tab: Page) -> None:
    with page_of(hostile, top=80) as review:
        tab.set_viewport_size({"width": 390, "height": 844})
        tab.goto(f"{review.address}?given=2")
        clear = tab.locator(".filters .clear").bounding_box()
        assert clear is not None
        assert clear["x"] + clear["width"] < 390
        assert tab.evaluate("document.documentElement.scrollWidth") == 390


def test_in_the_list_keys_are_for_the_row_that_has_the_focus(hostile: Path, tab: Page) -> None:
    rows = rank(hostile, 4)
    with page_of(hostile, top=80) as review:
        tab.goto(f"{review.address}?view=list")
        tab.keyboard.press("j")
        tab.keyboard.press("ArrowDown")
        tab.keyboard.press("p")
        press(tab, "x")
        assert list(held(hostile)) == [rows[1].row]
        focused = tab.evaluate("document.activeElement.dataset.row")
        assert int(focused) == rows[2].row
        press(tab, "Enter")
        assert row_on(tab) == rows[2].row


def test_help_shows_the_keys_and_while_it_is_open_they_decide_nothing(hostile: Path, tab: Page) -> None:
    with page_of(hostile, top=80) as review:
        tab.goto(review.address)
        assert not tab.locator("#help").is_visible()
        tab.keyboard.press("?")
        assert tab.locator("#help").is_visible()
        tab.keyboard.press("k")
        tab.keyboard.press("Escape")
        assert not tab.locator("#help").is_visible()
        assert held(hostile) == {}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with 30 classes whose names are long and have few blanks."""
    folder = tmp_path_factory.mktemp("many")
    bundle = make_bundle(folder / "bundle", tuple(f"intent {i:02} {'abcdefghij' * 9}" for i in range(30)))
    pq.write_table(pa.table({"text": make_texts(10), "label": [7] * 10}), folder / "data.parquet")
    score_dataset(bundle, folder / "data.parquet", folder / "run", ScoreOptions(threads=1))
    return folder / "run"


def test_of_many_classes_another_one_is_chosen_with_c(tab: Page, many: Path) -> None:
    first = rank(many, 1)[0]
    with page_of(many) as review:
        tab.goto(f"{review.address}?at={first.row}")
        tab.keyboard.press("c")
        tab.keyboard.type("intent 23")
        with tab.expect_navigation():
            tab.get_by_role("button", name="Relabel").click()
    assert (held(many)[first.row].label or "").startswith("intent 23 ")


def test_long_class_names_squeeze_nothing_and_hang_over_nothing(tab: Page, many: Path) -> None:
    row = rank(many, 2)[1].row
    with page_of(many) as review:
        tab.goto(f"{review.address}?at={row}")
        press(tab, "1")
        for width in (390, 1200):
            tab.set_viewport_size({"width": width, "height": 800})
            tab.goto(f"{review.address}?at={row}")
            assert tab.evaluate("document.documentElement.scrollWidth") == width
            assert tab.locator(".another kbd").evaluate("key => key.offsetWidth") < 40
            tab.goto(f"{review.address}?view=list&at={row}")
            assert tab.evaluate("document.documentElement.scrollWidth") == width
            assert tab.locator(f"[data-row='{row}'] .state").evaluate("state => state.offsetWidth") > 200
            assert tab.locator(f"[data-row='{row}'] .labels").evaluate("labels => labels.offsetWidth") > 200


def test_everything_can_be_done_without_javascript(hostile: Path, browser: Browser) -> None:
    rows = rank(hostile, 2)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    with page_of(hostile, top=80) as review:
        page.goto(review.address)
        page.get_by_role("button", name="Discard").click()
        assert row_on(page) == rows[1].row
        page.get_by_label("Status").select_option("decided")
        page.get_by_role("button", name="Filter").click()
        assert row_on(page) == rows[0].row
        page.get_by_role("button", name="Undo").click()
    context.close()
    assert held(hostile) == {}
