"""The review page: how it shows texts, labels, classes and dates."""

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossrank.page.view import TEXT_LIMIT
from lossrank.review.decision import DISCARDED, KEPT, RELABELLED, Decision, utc_text
from lossrank.review.store import DecisionStore
from scorer import ModelBundle, RunDirectory, ScoreOptions, rank, score_dataset
from tests.support.pages import page_of, shown, words, worst
from tests.support.tiny import CLASSES, make_bundle, make_texts


def held(run: Path) -> dict[int, Decision]:
    with DecisionStore(RunDirectory.open(run)) as store:
        return store.current()


def scored(tmp_path: Path, bundle: ModelBundle, **columns: object) -> Path:
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    score_dataset(bundle, tmp_path / "data.parquet", tmp_path / "scored", ScoreOptions(threads=1))
    return tmp_path / "scored"


@pytest.mark.parametrize(
    ("zone", "moment"), [("America/New_York", "0001-01-01T00:00:00"), ("Asia/Tokyo", "9999-12-31T23:59:59")]
)
def test_a_date_of_a_year_that_the_time_zone_does_not_have_is_shown_as_it_is_stored(
    own: Path, monkeypatch: pytest.MonkeyPatch, zone: str, moment: str
) -> None:
    row = worst(own)[0]
    decision = Decision(row, DISCARDED, None, "ben", "argilla", utc_text(moment))
    # A date in the future would be replaced by the time of storing.
    monkeypatch.setattr("lossrank.review.store.now_text", lambda: decision.decided_at)
    with DecisionStore(RunDirectory.open(own)) as store:
        store.add([decision])
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        with page_of(own) as page:
            response = page.get(f"./?at={row}")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert response.status_code == 200
    assert f"by ben in argilla, {decision.decided_at}" in words(response)


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
                response = page.get(path)
                assert response.status_code == 200
                assert "<script>" not in response.text
                assert "<img src=x" not in response.text
                assert "<b on" not in response.text
                assert "<i>a" not in response.text
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
        response = page.get("./?at=59")
        assert "Given label none" in words(response)
        assert 'value="kept"' not in response.text
        assert page.post("decide", row=59, seen=0, verdict=KEPT).status_code == 400
        assert page.post("decide", row=59, seen=0, label=1).status_code == 200
        assert shown(page.get("./?given=none&view=list")) in ([58, 59], [59, 58])
    assert {row: decision.verdict for row, decision in held(run).items()} == {58: KEPT, 59: RELABELLED}


@pytest.mark.parametrize("blank", [(float("nan"), -1.0), ("", " ", "NaN", "-1")])
def test_a_blank_where_a_label_would_be_is_no_label_and_can_not_be_kept(
    tiny_bundle: ModelBundle, tmp_path: Path, blank: tuple[float | str, ...]
) -> None:
    known = [float(i % 4) if isinstance(blank[0], float) else CLASSES[i % 4] for i in range(40)]
    run = scored(tmp_path, tiny_bundle, text=make_texts(40 + len(blank)), label=[*known, *blank])
    with page_of(run, top=60, by="entropy") as page:
        for row in range(40, 40 + len(blank)):
            response = page.get(f"./?at={row}")
            assert "Given label none" in words(response)
            assert 'value="kept"' not in response.text
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
        response = page.get()
        for key, index in enumerate(order[:9], start=1):
            assert f'value="{index}" data-keys="{key}"' in response.text
        assert response.text.count("<option") >= 30
        page_text = words(response)
        for index in order:
            assert f"{names[index]}" in page_text
        last = next(index for index in reversed(order) if index != first.label)
        page.post("decide", row=first.row, seen=0, label=last)
    assert held(run)[first.row].label == names[last]


def test_two_texts_have_their_columns_names(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    run = scored(tmp_path, tiny_bundle, premise=["w1 one", "w2 two"], hypothesis=["w3 three", "w4"], label=[0, 1])
    with page_of(run) as page:
        assert "premise w1 one hypothesis w3 three" in words(page.get("./?at=0"))


def test_a_long_text_is_shown_in_part_until_it_is_asked_for(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    text = "w1 " * TEXT_LIMIT + "the end"
    run = scored(tmp_path, tiny_bundle, text=[text, "w3"], label=[0, 1])
    with page_of(run) as page:
        response = page.get("./?at=0")
        assert "the end" not in response.text
        assert "truncated text" in words(response)
        assert f"Show all {len(text):,} characters" in words(response)
        assert "the end" in page.get("./?at=0&full=1").text
        assert page.post("decide?at=0&full=1", row=0, seen=0, verdict=KEPT).url.query == b"at=1"
        assert len(page.get("./?view=list").text) < TEXT_LIMIT
