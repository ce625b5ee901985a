"""window: every row of a range, with its status, its label and its id."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer import Source, SourceError, open_source
from scorer.data.columns import Columns, choose_columns
from scorer.data.labels.label_map import NO_LABEL, UNKNOWN
from scorer.data.parts import TablePart
from scorer.pipeline.window import Window, join_windows, read_windows
from scorer.run.schema import NO_TEXT, OK, UNREADABLE
from tests.scorer.pipeline.window.helpers import CLASSES, NAMES, windows
from tests.support import SOAK, short_and_long

N = 100


TABLE = pa.table(
    {
        "text": [None if i % 11 == 3 else f"text {i}" for i in range(N)],
        "label": [CLASSES[i % 4] for i in range(N)],
        "key": list(range(1000, 1000 + N)),
    }
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """TABLE's rows in three files of several row groups."""
    folder = tmp_path_factory.mktemp("files")
    for number, (start, stop) in enumerate([(0, 37), (37, 38), (38, N)]):
        pq.write_table(TABLE.slice(start, stop - start), folder / f"{number}.parquet", row_group_size=10)
    return open_source(folder)


class TestLongTexts:
    """A window may have more text than an Arrow array, or memory, can hold."""

    N, LONG = 2_200, 1 << 20

    def check(self, source: Source, least_calls: int) -> None:
        rows = source.num_rows
        given: list[int] = []

        def shorten(texts: list[str]) -> list[str]:
            assert pa.total_allocated_bytes() < 250_000_000
            given.append(sum(map(len, texts)))
            return [text[: text.find("x")] for text in texts]

        (window,) = read_windows(source, choose_columns(source.schema), None, [(0, rows)], shorten)
        assert rows < self.N or sum(given) > 2**31
        assert max(given) <= (1 << 26) + self.LONG
        assert window.scored.tolist() == list(range(rows))
        assert window.texts in ([f"{i} te" for i in range(rows)], ["te"] * rows)
        assert len(given) >= least_calls

    @short_and_long("rows", 400, N)
    def test_in_parquet(self, tmp_path: Path, rows: int) -> None:
        rest = "text " * (self.LONG // 5)
        with pq.ParquetWriter(
            tmp_path / "a.parquet", pa.schema([("text", pa.string())]), compression="zstd", use_dictionary=False
        ) as writer:
            for start in range(0, rows, 100):
                writer.write_table(pa.table({"text": [f"{i} {rest}" for i in range(start, start + 100)]}))
        self.check(open_source(tmp_path / "a.parquet"), rows // 100)

    @SOAK
    def test_of_a_dictionary(self) -> None:
        values = pa.array(["text " * (self.LONG // 5 + 1)])
        indices = pa.array([0] * self.N, pa.int8())
        part = TablePart(pa.table({"text": pa.DictionaryArray.from_arrays(indices, values)}))
        self.check(Source("table", {}, part.table.schema, self.N, "", {}, [part]), 30)


class TestRanges:
    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.integers(0, N), min_size=2, max_size=12, unique=True), st.data())
    def test_any_ascending_ranges_give_their_rows(self, files: Source, cuts: list[int], data: st.DataObject) -> None:
        cuts.sort()
        every = list(pairwise(cuts))
        ranges = [each for each in every if data.draw(st.booleans())] or every  # some touch, some don't
        found = windows(files, ranges, id="key")
        assert [(window.first_row, window.stop) for window in found] == ranges
        for window, (start, stop) in zip(found, ranges, strict=True):
            expected = TABLE.slice(start, stop - start).to_pydict()
            assert window.status.tolist() == [NO_TEXT if text is None else OK for text in expected["text"]]
            assert window.texts == [text for text in expected["text"] if text is not None]
            assert [expected["text"][i] for i in window.scored] == window.texts
            assert window.labels.tolist() == [CLASSES.index(label) for label in expected["label"]]
            assert window.ids.to_pylist() == [str(key) for key in expected["key"]]

    def test_ranges_that_touch_are_read_in_one_go_and_the_gap_is_not(
        self, files: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[tuple[int, int | None]] = []
        original = Source.read

        def spy(self: Source, columns: list[str] | None = None, start: int = 0, stop: int | None = None) -> Any:
            asked.append((start, stop))
            return original(self, columns, start, stop)

        monkeypatch.setattr(Source, "read", spy)
        assert len(windows(files, [(0, 10), (10, 25), (40, 50), (50, 51)])) == 4
        assert asked == [(0, 25), (40, 51)]

    def test_no_ranges(self, files: Source) -> None:
        assert list(read_windows(files, Columns("text", None, None, None), None, [])) == []

    def test_a_source_that_is_shorter_than_it_said(self, tmp_path: Path) -> None:
        pq.write_table(TABLE, tmp_path / "a.parquet")
        source = open_source(tmp_path / "a.parquet")
        pq.write_table(TABLE.slice(0, 60), tmp_path / "a.parquet")
        found = read_windows(source, choose_columns(source.schema), NAMES, [(0, 50), (50, 100)])
        assert next(found).stop == 50
        with pytest.raises(SourceError, match=r"a\.parquet ended at row 60 of 100"):
            next(found)

    def test_an_error_in_the_data_comes_when_its_window_is_read(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            pq.write_table(TABLE, tmp_path / f"{name}.parquet")
        source = open_source(tmp_path)
        (tmp_path / "b.parquet").write_bytes(b"PAR1 damaged")
        found = read_windows(source, choose_columns(source.schema), NAMES, [(0, 100), (100, 200)])
        assert next(found).texts == [text for text in TABLE["text"].to_pylist() if text is not None]
        with pytest.raises(SourceError, match=r"b\.parquet has changed"):
            next(found)


def content(window: Window) -> dict[str, Any]:
    """Return all that a window holds, to be compared."""
    parts = {name: getattr(window, name) for name in ("rows", "status", "scored", "labels", "ids")}
    return {name: values.tolist() for name, values in parts.items()} | {
        "types": [parts[name].dtype for name in ("rows", "scored", "labels")],
        "texts": window.texts,
        "pairs": window.text_pairs,
        "unknown": window.unknown,
        "problems": window.problems,
    }


class TestSome:
    """Some of a window's rows, and windows put together."""

    @settings(max_examples=30, deadline=None)
    @given(st.sets(st.integers(0, N - 1)), st.booleans())
    def test_each_row_keeps_what_is_its_own(self, chosen: set[int], pairs: bool) -> None:
        table = TABLE.append_column("second", pa.array([None if i % 7 == 1 else f"second {i}" for i in range(N)]))
        columns = Columns("text", "second" if pairs else None, "label", "key")
        (window,) = read_windows(open_source(table), columns, NAMES, [(0, N)])
        index = np.array(sorted(chosen), dtype=np.int64)
        part = window.take(index)
        rows = [table.slice(i, 1).to_pylist()[0] for i in index]
        usable = [row["text"] is not None and not (pairs and row["second"] is None) for row in rows]
        assert content(part) == content(window) | {
            "rows": index.tolist(),
            "status": [OK if ok else NO_TEXT for ok in usable],
            "scored": [i for i, ok in enumerate(usable) if ok],
            "texts": [row["text"] for row, ok in zip(rows, usable, strict=True) if ok],
            "pairs": [row["second"] for row, ok in zip(rows, usable, strict=True) if ok] if pairs else None,
            "labels": [CLASSES.index(row["label"]) for row in rows],
            "ids": [str(row["key"]) for row in rows],
        }
        if len(index):
            assert (part.first_row, part.stop) == (index[0], index[-1] + 1)

    def test_some_of_some(self, files: Source) -> None:
        (window,) = windows(files, [(20, 60)], id="key")
        part = window.take(np.arange(1, 40, 3)).take(np.array([0, 4, 12]))
        assert content(part) == content(window.take(np.array([1, 13, 37])))
        assert part.rows.tolist() == [21, 33, 57]

    def test_what_was_found_in_the_whole_is_not_said_again(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("text,label\n" + "a,World\n" * 40 + "b,x,y\nc,Welt\n")
        (window,) = windows(tmp_path / "a.csv")
        assert window.unknown
        assert window.problems
        part = window.take(np.array([39, 40, 41]))
        assert (part.unknown, part.problems) == ({}, {})
        assert part.status.tolist() == [OK, UNREADABLE, OK]
        assert part.labels.tolist() == [0, NO_LABEL, UNKNOWN]
        assert part.texts == ["a", "c"]

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.integers(1, N - 1), max_size=6, unique=True), st.sampled_from(["text_pair", None]), st.data())
    def test_parts_that_are_joined_are_the_whole(
        self, files: Source, cuts: list[int], pair: str | None, data: st.DataObject
    ) -> None:
        chosen = {"id": "key", "text": "text"} | ({"text_pair": "label"} if pair else {})
        ranges = list(pairwise([0, *sorted(cuts), N]))
        parts, (whole,) = windows(files, ranges, **chosen), windows(files, **chosen)
        assert content(join_windows(parts)) == content(whole)
        kept = np.array(sorted(data.draw(st.sets(st.integers(0, N - 1)))), dtype=np.int64)
        taken = [part.take(np.flatnonzero(np.isin(part.rows, kept))) for part in parts]  # some have no row
        assert content(join_windows(taken)) == content(whole.take(kept))

    def test_what_was_found_is_added_up(self, tmp_path: Path) -> None:
        lines = ["a,World"] * 40 + ["b,x,y", "c,Welt", "d,Welt", "e,x,y", "f,Spots"]
        (tmp_path / "a.csv").write_text("\n".join(["text,label", *lines]) + "\n")
        parts, (whole,) = windows(tmp_path / "a.csv", [(0, 42), (42, 45)]), windows(tmp_path / "a.csv")
        joined = join_windows(parts)
        assert joined.unknown == {"Welt": 2, "Spots": 1}
        assert len(joined.problems) == 2
        assert content(joined) == content(whole)
