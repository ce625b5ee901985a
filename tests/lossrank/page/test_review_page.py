"""The review page: what it shows, what it stores, and where it goes next."""

import html
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossrank.page.view import MOST
from lossrank.review.decision import DISCARDED, KEPT, RELABELLED, Decision, utc_text
from lossrank.review.store import DecisionStore
from scorer import ModelBundle, RunDirectory, ScoreOptions, rank, score_dataset
from tests.support.pages import Client, page_of, shown, words, worst
from tests.support.tiny import CLASSES, make_bundle, make_texts


@pytest.fixture
def own(run: Path, tmp_path: Path) -> Path:
    """The scored run, for this test alone."""
    return Path(shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("review.sqlite*")))


@pytest.fixture
def page(own: Path) -> Iterator[Client]:
    with page_of(own) as client:
        yield client


def held(run: Path) -> dict[int, Decision]:
    with DecisionStore(RunDirectory.open(run)) as store:
        return store.current()


def scored(tmp_path: Path, bundle: ModelBundle, **columns: object) -> Path:
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    score_dataset(bundle, tmp_path / "data.parquet", tmp_path / "scored", ScoreOptions(threads=1))
    return tmp_path / "scored"


def test_the_page_begins_at_the_worst_row_and_shows_all_that_is_known_of_it(page: Client, own: Path) -> None:
    first = rank(own, 1)[0]
    answer = page.get()
    assert shown(answer) == [first.row]
    said = words(answer)
    assert f"row {first.row} loss {first.loss:.3f}" in said
    assert first.label is not None
    assert f"Given label {CLASSES[first.label]}" in said
    assert f"The model says {CLASSES[first.predicted]} {100 * first.top_prob:.1f}%" in said
    for place, (name, prob) in enumerate(zip(CLASSES, first.probs, strict=True), start=1):
        given = " given" if name == CLASSES[first.label] else " model" if name == CLASSES[first.predicted] else ""
        assert f"{place} {name}{given} {100 * prob:.1f}%" in said
    assert "0 of 20 decided" in said


def test_each_decision_is_stored_at_once_and_leads_to_the_next_open_row(page: Client, own: Path) -> None:
    rows = worst(own)
    label = next(one for one in range(len(CLASSES)) if one != rank(own, 1)[0].label)
    answer = page.post("decide", row=rows[0], seen=0, label=label)
    assert answer.url.query == f"at={rows[1]}".encode()
    assert shown(answer) == [rows[1]]
    assert held(own)[rows[0]].label == CLASSES[label]
    assert shown(page.post("decide", row=rows[1], seen=0, verdict=KEPT)) == [rows[2]]
    answer = page.post("decide", row=rows[2], seen=0, verdict=DISCARDED)
    assert shown(answer) == [rows[3]]
    assert "3 of 20 decided" in words(answer)
    found = [held(own)[row] for row in rows[:3]]
    assert [one.verdict for one in found] == [RELABELLED, KEPT, DISCARDED]
    assert {(one.annotator, one.source) for one in found} == {("ann", "review")}


def test_an_address_without_a_row_leads_to_that_of_the_first_open_one(page: Client, own: Path) -> None:
    rows = worst(own)
    page.post("decide", row=rows[0], seen=0, verdict=KEPT)
    for query, at in (("", rows[1]), ("view=list", rows[1]), ("status=decided", rows[0]), ("at=99999", rows[1])):
        answer = page.get(f"./?{query}")
        assert [one.status_code for one in answer.history] == [303]
        assert answer.url.query.decode().endswith(f"at={at}")
    assert page.get("./?search=zzz").history == []


def test_relabelling_to_the_given_label_keeps_the_row(page: Client, own: Path) -> None:
    first = rank(own, 1)[0]
    page.post("decide", row=first.row, seen=0, label=first.label)
    assert (held(own)[first.row].verdict, held(own)[first.row].label) == (KEPT, None)


def test_rows_that_were_skipped_come_again_after_the_last_one(page: Client, own: Path) -> None:
    rows = worst(own)
    for row in rows[1:]:
        answer = page.post("decide", row=row, seen=0, verdict=KEPT)
    assert shown(answer) == [rows[0]]
    answer = page.post("decide", row=rows[0], seen=0, verdict=KEPT)
    assert shown(answer) == []
    assert "All 20 rows are decided" in words(answer)
    assert f"lossrank apply {own}" in words(answer)


def test_the_page_resumes_at_the_first_open_row_in_another_process(own: Path) -> None:
    rows = worst(own)
    with page_of(own) as page:
        page.post("decide", row=rows[0], seen=0, verdict=KEPT)
        page.post("decide", row=rows[1], seen=0, verdict=KEPT)
    with page_of(own) as page:
        assert shown(page.get()) == [rows[2]]


def test_a_decision_on_what_somebody_else_decided_meanwhile_is_not_stored_and_both_are_shown(own: Path) -> None:
    row = worst(own)[0]
    with page_of(own, "ann") as ann, page_of(own, "bob") as bob:
        bob.post("decide", row=row, seen=0, verdict=DISCARDED)
        answer = ann.post("decide", row=row, seen=0, verdict=KEPT)
        assert answer.status_code == 409
        assert shown(answer) == [row]
        assert f"Your “kept” was not stored: row {row} was decided by bob meanwhile" in words(answer)
        assert "discarded by bob" in words(answer)
        assert held(own)[row].annotator == "bob"
        seen = held(own)[row].number
        assert f'name="seen" value="{seen}"' in answer.text
        assert ann.post("decide", row=row, seen=seen, verdict=KEPT).status_code == 200
    assert (held(own)[row].annotator, held(own)[row].verdict) == ("ann", KEPT)


@pytest.mark.parametrize(
    ("zone", "moment"), [("America/New_York", "0001-01-01T00:00:00"), ("Asia/Tokyo", "9999-12-31T23:59:59")]
)
def test_a_date_of_a_year_that_the_time_zone_does_not_have_is_shown_as_it_is_stored(
    own: Path, monkeypatch: pytest.MonkeyPatch, zone: str, moment: str
) -> None:
    row = worst(own)[0]
    decision = Decision(row, DISCARDED, None, "ben", "argilla", utc_text(moment))
    monkeypatch.setattr(
        "lossrank.review.store.now_text", lambda: decision.decided_at
    )  # else a later date than now is now
    with DecisionStore(RunDirectory.open(own)) as store:
        store.add([decision])
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        with page_of(own) as page:
            answer = page.get(f"./?at={row}")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert answer.status_code == 200
    assert f"by ben in argilla, {decision.decided_at}" in words(answer)


def test_undo_takes_back_the_last_decision_and_goes_to_its_row(page: Client, own: Path) -> None:
    rows = worst(own)
    page.post("decide", row=rows[0], seen=0, verdict=KEPT)
    answer = page.post("decide", row=rows[1], seen=0, verdict=DISCARDED)
    assert f"Undo row {rows[1]} discarded" in words(answer)
    answer = page.post("undo", seen=held(own)[rows[1]].number)
    assert shown(answer) == [rows[1]]
    assert list(held(own)) == [rows[0]]
    assert f"Undo row {rows[0]} kept" in words(answer)


def test_a_tab_that_did_not_see_the_last_decision_does_not_undo_it(page: Client, own: Path) -> None:
    rows = worst(own)
    page.post("decide", row=rows[0], seen=0, verdict=KEPT)
    first = held(own)[rows[0]].number
    page.post("decide", row=rows[1], seen=0, verdict=KEPT)
    answer = page.post("undo", seen=first)
    assert answer.status_code == 409
    assert "Nothing was undone" in words(answer)
    assert shown(answer) == [rows[1]]
    assert len(held(own)) == 2


def test_undo_is_offered_of_the_latest_decision_that_nobody_has_replaced(page: Client, own: Path) -> None:
    rows = worst(own)
    for row in rows[:2]:
        page.post("decide", row=row, seen=0, verdict=KEPT)
    with DecisionStore(RunDirectory.open(own)) as store:
        replaced = held(own)[rows[1]].number
        store.decide(rows[1], DISCARDED, annotator="bob")
    answer = page.post("undo", seen=replaced)
    assert answer.status_code == 409
    assert f"the latest decision of ann that holds is that of row {rows[0]}" in words(answer)
    assert shown(answer) == [rows[0]]
    assert f"Undo row {rows[0]} kept" in words(answer)
    assert shown(page.post("undo", seen=held(own)[rows[0]].number)) == [rows[0]]
    assert list(held(own)) == [rows[1]]
    assert "Undo row" not in words(page.get())


def test_undo_of_a_row_that_is_not_on_this_page_is_said(own: Path) -> None:
    row = worst(own)[-1]
    with DecisionStore(RunDirectory.open(own)) as store:
        number = store.decide(row, KEPT, annotator="ann").number
    with page_of(own, top=3) as page:
        assert f"Row {row} is as before" in words(page.post("undo", seen=number))
        assert "nothing of yours to undo" in words(page.post("undo", seen=0))
    assert held(own) == {}


@pytest.mark.parametrize(
    "body",
    [
        "row=1000000&seen=0&verdict=kept",
        "row=x&seen=0&verdict=kept",
        "seen=0&verdict=kept",
        "row=ROW&verdict=kept",
        "row=ROW&seen=0&label=4",
        "row=ROW&seen=0&label=-1",
        "row=ROW&seen=0&label=World",
        "row=ROW&seen=0&verdict=relabelled",
        "row=ROW&seen=0&verdict=burnt",
        "row=ROW&seen=0",
        "\xff",
        "",
    ],
)
def test_what_is_no_decision_stores_nothing(page: Client, own: Path, body: str) -> None:
    content = body.replace("ROW", str(worst(own)[0])).encode("latin-1")
    answer = page.http.post("decide", content=content, headers=page.headers)
    assert answer.status_code == 400
    assert "Not stored" in words(answer)
    assert held(own) == {}


def test_a_store_that_cannot_be_written_is_said_and_the_row_stays(page: Client, own: Path) -> None:
    row = worst(own)[0]
    with DecisionStore(RunDirectory.open(own)) as store:
        store._db.execute(
            "CREATE TRIGGER full BEFORE INSERT ON decisions BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
    answer = page.post("decide", row=row, seen=0, verdict=KEPT)
    assert answer.status_code == 500
    assert "Your “kept” was not stored" in words(answer)
    assert "disk is full" in words(answer)
    assert shown(answer) == [row]


def test_a_store_that_cannot_be_read_is_said_instead_of_the_page(page: Client, own: Path) -> None:
    with DecisionStore(RunDirectory.open(own)) as store:
        store._db.execute("DROP TABLE decisions")
    answer = page.get()
    assert answer.status_code == 500
    assert "The decisions can’t be read" in words(answer)
    assert "no such table: decisions" in words(answer)


def test_a_text_is_never_read_as_html(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    texts = ["<script>alert(1)</script>", "</p><img src=x onerror=alert(1)>", "\"'><b onmouseover=alert(1)>&amp;"]
    pairs = ["<script>alert(2)</script>"] * 3
    data = {"text": texts, "text2": pairs, "label": [0, 1, 2], "id": ["<i>a", "b\"'>", "c&lt;"]}
    pq.write_table(pa.table(data), tmp_path / "data.parquet")
    run = tmp_path / "scored"
    options = ScoreOptions(threads=1, id_column="id")
    score_dataset(tiny_bundle, tmp_path / "data.parquet", run, options)
    with page_of(run) as page:
        for row in range(3):
            for path in (f"./?at={row}", "./?view=list", f"./?at={row}&search=<script>", "./?view=list&search=alert"):
                answer = page.get(path)
                assert answer.status_code == 200
                assert "<script>" not in answer.text
                assert "<img src=x" not in answer.text
                assert "<b on" not in answer.text
                assert "<i>a" not in answer.text
            assert texts[row] in words(page.get(f"./?at={row}"))


def test_a_label_of_the_data_that_is_no_class_of_the_model_is_shown_and_can_be_kept(
    tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    texts = make_texts(60)
    labels = [CLASSES[i % 4] for i in range(58)] + ["<Weather>", None]
    run = scored(tmp_path, tiny_bundle, text=texts, label=labels)
    with page_of(run, top=60, by="entropy") as page:
        assert "Given label <Weather>" in words(page.get("./?at=58"))
        assert page.post("decide", row=58, seen=0, verdict=KEPT).status_code == 200
        answer = page.get("./?at=59")
        assert "Given label none" in words(answer)
        assert 'value="kept"' not in answer.text
        assert page.post("decide", row=59, seen=0, verdict=KEPT).status_code == 400
        assert page.post("decide", row=59, seen=0, label=1).status_code == 200
        assert shown(page.get("./?given=none&view=list")) in ([58, 59], [59, 58])
    assert {row: one.verdict for row, one in held(run).items()} == {58: KEPT, 59: RELABELLED}


@pytest.mark.parametrize("blank", [(float("nan"), -1.0), ("", " ", "NaN", "-1")])
def test_a_blank_where_a_label_would_be_is_no_label_and_can_not_be_kept(
    tiny_bundle: ModelBundle, tmp_path: Path, blank: tuple[float | str, ...]
) -> None:
    known = [float(i % 4) if isinstance(blank[0], float) else CLASSES[i % 4] for i in range(40)]
    run = scored(tmp_path, tiny_bundle, text=make_texts(40 + len(blank)), label=[*known, *blank])
    with page_of(run, top=60, by="entropy") as page:
        for row in range(40, 40 + len(blank)):
            answer = page.get(f"./?at={row}")
            assert "Given label none" in words(answer)
            assert 'value="kept"' not in answer.text
            assert page.post("decide", row=row, seen=0, verdict=KEPT).status_code == 400
    assert held(run) == {}


def test_of_many_classes_the_nine_most_probable_have_keys_and_all_can_be_chosen(tmp_path: Path) -> None:
    names = tuple(f"intent {i}" for i in range(30))
    bundle = make_bundle(tmp_path / "bundle", names)
    labels = np.random.default_rng(3).integers(0, 30, size=40)
    run = scored(tmp_path, bundle, text=make_texts(40), label=labels)
    first = rank(run, 1)[0]
    order = sorted(range(30), key=lambda index: -first.probs[index])
    with page_of(run) as page:
        answer = page.get()
        for key, index in enumerate(order[:9], start=1):
            assert f'value="{index}" data-keys="{key}"' in answer.text
        assert answer.text.count("<option") >= 30
        said = words(answer)
        for index in order:
            assert f"{names[index]}" in said
        last = next(index for index in reversed(order) if index != first.label)
        page.post("decide", row=first.row, seen=0, label=last)
    assert held(run)[first.row].label == names[last]


def test_two_texts_have_their_columns_names(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    run = scored(tmp_path, tiny_bundle, premise=["w1 one", "w2 two"], hypothesis=["w3 three", "w4"], label=[0, 1])
    with page_of(run) as page:
        assert "premise w1 one hypothesis w3 three" in words(page.get("./?at=0"))


def test_a_long_text_is_shown_in_part_until_it_is_asked_for(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    text = "w1 " * MOST + "the end"
    run = scored(tmp_path, tiny_bundle, text=[text, "w3"], label=[0, 1])
    with page_of(run) as page:
        answer = page.get("./?at=0")
        assert "the end" not in answer.text
        assert "cut text" in words(answer)
        assert f"Show all {len(text):,} characters" in words(answer)
        assert "the end" in page.get("./?at=0&full=1").text
        assert page.post("decide?at=0&full=1", row=0, seen=0, verdict=KEPT).url.query == b"at=1"
        assert len(page.get("./?view=list").text) < MOST


def test_what_crashes_is_named_by_its_place_and_not_by_what_it_says(
    page: Client, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a text of the data")

    monkeypatch.setattr("lossrank.page.html.Html.page", fail)
    answer = page.get()
    assert answer.status_code == 500
    assert "ZeroDivisionError at test_review_page.py" in answer.text
    assert "a text of the data" not in answer.text
    assert "ZeroDivisionError at" in capfd.readouterr().err


def test_the_command_on_the_page_can_be_pasted_into_a_shell(own: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(own, tmp_path / "my run"))
    with page_of(run) as client:
        text = html.unescape(client.get("?view=list").text)
    assert f"lossrank apply '{run}' -o OUT" in text
