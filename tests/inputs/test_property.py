"""A random table, written by any library in any of its ways: score gives each row its own text and label, or stops."""

import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import Result
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from scorer import ModelBundle
from tests.inputs.case import Row
from tests.inputs.read import LONGEST, message, rows_of
from tests.inputs.writers import WRITERS, Records, Writer, Written, flattened
from tests.support import short_and_long
from tests.support.commands import Lossrank
from tests.support.tiny import CLASSES

MOST_STOPPED = 0.05  # of the files that one can read in one way only
PIECES = [
    "w1", "w2", "the bank", "Zürich", "e\u0301", "日本", "🏆", "\u200b", "\ufeff", "0", "1.5", "-1", "NaN", "None",
    "null", " ", " ", " ", "\u00a0", '"', '"', '""', "'", "`", ",", ",", ";", "\t", "|", "\n", "\n", "\r\n", "\r", "\\",
    "\\n", '\\"', "\\N", "=1+1", "@a", "#", "{", "}", "[", "]", ":", "%", "<br>", "&amp;", "text", "label", "World",
    "sep=;", "\x01", "\x0b", "\x0c", "\x1b", "\x1c", "\x1f", "\x7f", "\x85", "\u2028", "\u2029",
]  # fmt: skip
NOTHING = {"", "nan", "none", "<na>", "\\n", "null"}  # texts that stand for nothing, in any case and with any blanks
SURE = {"", "NaN", "nan", "None", "<NA>", "\\N"}  # those that are nothing for certain
TEXTS = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=9).map("".join),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
    st.none(),
)


@st.composite
def tables(draw: st.DrawFn) -> Records:
    """Draw one to twelve rows with at least one plain text; labels are names or numbers, and some are missing."""
    texts = draw(st.lists(TEXTS, max_size=11))
    texts.insert(
        draw(st.integers(0, len(texts))), draw(st.sampled_from(["a plain text", "ein kurzer Satz", 'the "end" of it']))
    )
    names: Any = CLASSES if draw(st.booleans()) else range(len(CLASSES))
    labels = draw(st.lists(st.sampled_from([*names, *names, None]), min_size=len(texts), max_size=len(texts)))
    rows: Records = [{"text": text, "label": label} for text, label in zip(texts, labels, strict=True)]
    if draw(st.booleans()):
        rows = [{"label": row["label"], "text": row["text"]} for row in rows]
    if draw(st.integers(0, 3)) == 0:
        notes = draw(st.lists(TEXTS, min_size=len(rows), max_size=len(rows)))
        rows = [{"number": i, **row, "note": note} for i, (row, note) in enumerate(zip(rows, notes, strict=True))]
    return rows


def fault(found: list[Row], records: Records, flat: bool) -> str | None:
    """Return what is wrong with the rows that a run has; None if nothing is."""
    if len(found) != len(records):
        return f"{len(found)} rows instead of {len(records)}"
    for number, (row, record) in enumerate(zip(found, records, strict=True)):
        text = record["text"] or ""
        text = flattened(text) if flat else text
        if text.isspace() or text in SURE:
            if row.status != "no_text":
                return f"row {number}: {row.status} for {text!r}"
            continue
        if row.status == "no_text" and text.strip().lower() in NOTHING:
            continue
        label = record["label"]
        label = CLASSES[label] if isinstance(label, int) else label
        wanted = Row(text, label, "no_label" if label is None else "ok")
        if row != wanted:
            return f"row {number}: {row} instead of {wanted}"
    return None


def content(path: Path) -> bytes:
    """Return a file's bytes, decompressed, to show how it was read wrongly; none for a folder."""
    if path.is_dir():
        return b""
    codec = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}.get(path.suffix)
    with pa.input_stream(str(path), compression=codec) as stream:
        return bytes(stream.read())


@pytest.mark.timeout(1500)
@short_and_long("count", 50, int(os.environ.get("LOSSRANK_EXAMPLES", "500")))
def test_each_row_keeps_its_text_and_label_or_the_run_stops(
    count: int, tiny_bundle: ModelBundle, lossrank: Lossrank, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: Counter[str] = Counter()
    faults: list[tuple[int, str]] = []  # the smallest file is shown first

    def judge(result: Result, written: Written, records: Records, what: str) -> str | None:
        """Count a file; return what is wrong with its run, if anything is."""
        certain = "open" if written.is_open else "certain"
        seen[certain] += 1
        if result.exit_code == 0:
            return fault(rows_of(written.path.parent / "run"), records, written.flat)
        said = message(result)
        seen[f"{certain}, stopped"] += 1
        if not written.is_open:
            seen[f"stopped: {what}: {said[:200]}"] += 1
        return said if len(said) > LONGEST else None

    @settings(
        max_examples=count,
        deadline=None,
        derandomize=count < 1000,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(tables(), st.sampled_from(WRITERS), st.data())
    def check(records: Records, write: Writer, data: st.DataObject) -> None:
        with tempfile.TemporaryDirectory() as folder:
            written = write(records, Path(folder), lambda ways: data.draw(st.sampled_from(ways)))
            options = ("-o", f"{folder}/run", "--threads", 1, *written.options)
            result = lossrank("score", tiny_bundle.path, written.path, *options)
            what = f"{write.__name__} {written.path.name} {' '.join(written.options)}"
            wrong = judge(result, written, records, what)
            if wrong is not None:
                held = content(written.path)
                faults.append((len(held), f"{what}: {wrong}; the file: {held[:1000]!r}"))

    check()
    files = seen["open"] + seen["certain"]
    with capsys.disabled():
        print(f"\n{files} files, {len(faults)} read wrongly; {seen['certain, stopped']} of {seen['certain']} stopped")
        print("\n".join(f"{times} {what}" for what, times in seen.most_common(20) if what.startswith("stopped:")))
    assert files >= count
    assert not faults, "\n".join(what for _, what in sorted(faults)[:10])
    assert seen["certain, stopped"] <= MOST_STOPPED * seen["certain"]
