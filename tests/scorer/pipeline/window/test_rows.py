"""window: every row of a range, with its status, its label and its id."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.data.labels.label_map import NO_LABEL, UNKNOWN
from scorer.run.schema import INVALID_TEXT, NO_TEXT, OK, UNREADABLE
from tests.scorer.pipeline.window.helpers import windows


class TestStatus:
    def test_texts_that_are_missing_or_blank(self) -> None:
        texts = ["a", None, "", "  \t\n", "\u3000", " b ", "\x00"]
        (window,) = windows(pa.table({"text": texts}))
        assert window.status.tolist() == [OK, NO_TEXT, NO_TEXT, NO_TEXT, NO_TEXT, OK, OK]
        assert window.scored.tolist() == [0, 5, 6]
        assert window.scored.dtype == np.int64
        assert window.texts == ["a", " b ", "\x00"]
        assert window.text_pairs is None
        assert (window.first_row, window.stop) == (0, 7)

    @pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
    def test_texts_that_are_not_utf8(self, kind: pa.DataType) -> None:
        raw = pa.binary() if kind == pa.string() else pa.large_binary()
        texts = pa.array([b"a", b"caf\xe9", None, "é".encode()], raw).view(kind)
        (window,) = windows(pa.table({"text": texts}))
        assert window.status.tolist() == [OK, INVALID_TEXT, NO_TEXT, OK]
        assert window.texts == ["a", "é"]

    def test_both_halves_of_a_pair_are_needed(self) -> None:
        bad = pa.array([b"x", b"y", b"", b"\xff", b"z"], pa.binary()).view(pa.string())
        table = pa.table({"premise": ["a", None, "c", "d", "e"], "hypothesis": bad})
        (window,) = windows(table)
        assert window.status.tolist() == [OK, NO_TEXT, NO_TEXT, INVALID_TEXT, OK]
        assert window.texts == ["a", "e"]
        assert window.text_pairs == ["x", "z"]

    def test_lines_that_could_not_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("text,label,id\na,World,1\n,World,3\nb,Sports,5,x\nd,Sports,4\n")
        first, second = windows(tmp_path / "a.csv", [(0, 1), (1, 4)], id="id")
        assert (first.status.tolist(), first.problems) == ([OK], {})
        assert second.status.tolist() == [NO_TEXT, UNREADABLE, OK]
        assert second.problems == {2: "a.csv line 4: 4 fields, not 3"}
        assert second.labels.tolist() == [0, NO_LABEL, 1]
        assert second.ids.to_pylist() == ["3", None, "4"]

    def test_no_row_has_text(self) -> None:
        (window,) = windows(pa.table({"text": pa.array([None, ""], pa.string())}))
        assert (window.texts, window.scored.tolist()) == ([], [])

    def test_dictionary_text(self) -> None:
        chunks = [pa.table({"text": pa.array(values).dictionary_encode()}) for values in (["a", "b"], ["c", None, "a"])]
        (window,) = windows(pa.concat_tables(chunks))
        assert window.texts == ["a", "b", "c", "a"]
        assert window.status.tolist() == [OK, OK, OK, NO_TEXT, OK]


class TestLabels:
    def test_labels_are_of_all_rows_with_or_without_text(self) -> None:
        table = pa.table({"text": ["a", None, "c", "d"], "label": ["sports", "World", None, "Spots"]})
        table = pa.concat_tables([table, pa.table({"text": ["e"] * 40, "label": ["World"] * 40})])
        (window,) = windows(table)
        assert window.labels[:4].tolist() == [1, 0, NO_LABEL, UNKNOWN]
        assert window.labels.dtype == np.int32
        assert window.unknown == {"Spots": 1}

    def test_without_a_label_column(self) -> None:
        (window,) = windows(pa.table({"text": ["a", "b"]}), label_map=None)
        assert window.labels.tolist() == [NO_LABEL, NO_LABEL]
        assert window.unknown == {}

    def test_later_windows_are_only_counted(self) -> None:
        table = pa.table({"text": ["a"] * 20, "label": ["World"] * 10 + ["Welt"] * 10})
        first, second = windows(table, [(0, 10), (10, 20)])
        assert first.labels.tolist() == [0] * 10
        assert second.labels.tolist() == [UNKNOWN] * 10
        assert second.unknown == {"Welt": 10}

    def test_a_label_that_is_not_utf8_ends_no_run(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_bytes(b"text,label\n" + b"a,World\n" * 40 + b"b,Mus\xe9e\n")
        (window,) = windows(tmp_path / "a.csv")
        assert window.labels.tolist() == [0] * 40 + [UNKNOWN]
        assert window.unknown == {"Mus\ufffde": 1}

    def test_the_same_labels_from_every_kind_of_file(self, tmp_path: Path) -> None:
        labels = [2, 0, None, 3, 1]
        pq.write_table(pa.table({"text": list("abcde"), "label": labels}), tmp_path / "a.parquet")
        pq.write_table(
            pa.table({"text": list("abcde"), "label": pa.array(labels, pa.float64())}), tmp_path / "b.parquet"
        )
        (tmp_path / "c.csv").write_text("text,label\na,2\nb,0\nc,\nd,3\ne,1\n")
        (tmp_path / "d.csv").write_text("text,label\na,2.0\nb,0.0\nc,nan\nd,3.0\ne,1.0\n")
        (tmp_path / "e.jsonl").write_text(
            "".join(f'{{"text": "{t}", "label": {x}}}\n' for t, x in zip("abcde", [2, 0.0, "null", 3, 1], strict=True))
        )
        for name in ("a.parquet", "b.parquet", "c.csv", "d.csv", "e.jsonl"):
            (window,) = windows(tmp_path / name)
            assert window.labels.tolist() == [2, 0, NO_LABEL, 3, 1], name


class TestIds:
    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            (pa.array(["x", None, "é"]), ["x", None, "é"]),
            (pa.array([7, None, -1]), ["7", None, "-1"]),
            (pa.array([2**63 + 1, 0, None], pa.uint64()), ["9223372036854775809", "0", None]),
            (pa.array([0.5, None, 3.0]), ["0.5", None, "3"]),
            (pa.array([True, None, False]), ["true", None, "false"]),
            (pa.array([0, None, 1], pa.date32()), ["1970-01-01", None, "1970-01-02"]),
            (pa.array(["x", None, "x"]).dictionary_encode(), ["x", None, "x"]),
            (pa.array([5, None, 5]).dictionary_encode(), ["5", None, "5"]),
            (pa.array([b"ok", None, b"\xe9"], pa.binary()).view(pa.string()), ["ok", None, "\ufffd"]),
            (pa.nulls(3), [None, None, None]),
        ],
    )
    def test_any_type_becomes_text(self, values: pa.Array, expected: list[str | None]) -> None:
        (window,) = windows(pa.table({"text": ["a", "b", "c"], "key": values}), id="key")
        assert window.ids.type == pa.string()
        assert window.ids.to_pylist() == expected

    def test_none_are_named(self) -> None:
        (window,) = windows(pa.table({"text": ["a", "b"], "id": [1, 2]}))
        assert window.ids.type == pa.string()
        assert window.ids.to_pylist() == [None, None]
