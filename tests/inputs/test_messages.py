"""No message is longer than 400 characters, whatever the names in the data."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle
from tests.inputs.case import json_lines, records, table
from tests.inputs.read import LONGEST, message
from tests.support.commands import Lossrank
from tests.support.tiny import make_bundle

WIDE = [f"column {i} " + "x" * 490 for i in range(1000)]
CLASSES = tuple(f"class {i} " + "y" * 50 for i in range(1000))
LONG = "z" * 10_000
FILE = "f" * 240 + ".csv"
TEXTS = [f"w{i}" for i in range(40)]

Make = Callable[[Path], Path]


@pytest.fixture(scope="module")
def many_classes(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """A model with a thousand classes."""
    return make_bundle(tmp_path_factory.mktemp("many") / "bundle", CLASSES)


def file_of(content: str, name: str = FILE) -> Make:
    """Return a function that writes a file."""

    def make(folder: Path) -> Path:
        (folder / name).write_text(content, encoding="utf-8")
        return folder / name

    return make


def parquet_of(data: dict[str, Any]) -> Make:
    def make(folder: Path) -> Path:
        pq.write_table(pa.table(data), folder / "data.parquet")
        return folder / "data.parquet"

    return make


def folder_of(*contents: str) -> Make:
    """Return a function that writes files in a folder with a long name."""

    def make(folder: Path) -> Path:
        (folder / ("g" * 250)).mkdir()
        for i, content in enumerate(contents):
            (folder / ("g" * 250) / f"{i}.csv").write_text(content, encoding="utf-8")
        return folder / ("g" * 250)

    return make


MANY = [f"label {i} {LONG[:99]}" for i in range(1000)]
GIVEN = list(CLASSES[:3])
NUMBERS = {name: [1] * 3 for name in WIDE}
WORDS = {name: ["w1"] * 3 for name in WIDE}
PAIRS = [(text, "World") for text in TEXTS]
HEADER = ",".join(WIDE)
CASES: dict[str, tuple[Make, tuple[str, ...]]] = {
    "a column that is missing": (parquet_of(WORDS), ("--text-column", "q" * 5000)),
    "a label column that is missing": (parquet_of({"text": ["w1"] * 3, **NUMBERS}), ("--label-column", "q" * 5000)),
    "an id column that is missing": (parquet_of({"text": ["w1"] * 3, **NUMBERS}), ("--id-column", WIDE[0] + "q")),
    "no column of text": (parquet_of(NUMBERS), ()),
    "many columns of text": (parquet_of(WORDS), ()),
    "a text column that is none": (parquet_of(NUMBERS), ("--text-column", WIDE[3])),
    "a text column that is none among texts": (parquet_of({**WORDS, "n": [1] * 3}), ("--text-column", "n")),
    "a label of structs": (
        parquet_of({"text": ["w1"], "label": [dict.fromkeys(WIDE, 1)]}),
        ("--label-column", "label"),
    ),
    "an id of structs": (parquet_of({"text": ["w1"], "id": [dict.fromkeys(WIDE, 1)]}), ("--id-column", "id")),
    "many columns of text in CSV": (file_of(f"{HEADER}\n" + ",".join(["w1"] * 1000) + "\n"), ()),
    "only a header": (file_of(f"text,{HEADER}\n"), ()),
    "a header of other lengths than the rows": (file_of(f"text,{HEADER}\n" + "w1," * 1500 + "\n"), ()),
    "columns that differ among files": (folder_of(f"text,{HEADER}\nw1{',1' * 1000}\n", f"label,{LONG}\nw1,1\n"), ()),
    "a folder of several kinds": (folder_of("text\nw1\n"), ("--split", LONG)),
    "a repeated name": (file_of(f"{WIDE[0]},{WIDE[0]},label\nw1,w2,World\n"), ("--text-column", WIDE[0])),
    "no header": (file_of("".join(f"{'w1 ' * 2000}{i},World\n" for i in range(20))), ()),
    "too few names": (file_of(table(PAIRS, "")), ("--columns", ",".join(WIDE[:300]))),
    "a name of nothing": (file_of(table(PAIRS)), ("--columns", ",".join([*WIDE[:300], WIDE[0]]))),
    "quotes that swallow lines": (file_of(table([*PAIRS, (f'"{LONG}', "World"), ("w2", 'World"'), *PAIRS])), ()),
    "a quote that is never closed": (file_of(table([*PAIRS, (f'"{LONG}', "World")])), ("--quoting", "minimal")),
    "a broken line": (file_of(table([*PAIRS, ("w1", *([LONG] * 5))])), ("--on-error", "fail")),
    "a broken line of JSON": (file_of(f'{{"{LONG}": {LONG}\n' * 3, "f" * 240 + ".jsonl"), ("--on-error", "fail")),
    "JSON's wrapper": (file_of(json.dumps({LONG: records(PAIRS)}), "f" * 240 + ".json"), ()),
    "JSON's columns": (file_of(json.dumps({name: {"0": "w1"} for name in WIDE}), "f" * 240 + ".json"), ()),
    "JSON of many columns": (file_of(json_lines([dict.fromkeys(WIDE, 1)]), "f" * 240 + ".jsonl"), ()),
    "another encoding": (lambda folder: other_encoding(folder), ()),
    "an encoding that does not exist": (file_of(table(PAIRS)), ("--encoding", LONG)),
    "a delimiter that is none": (file_of(table(PAIRS)), ("--delimiter", LONG)),
    "a value of quoting": (parquet_of({"text": ["w1"]}), ("--join", LONG, "--text-column", "text")),
    "labels that the model lacks": (parquet_of({"text": TEXTS, "label": [f"{LONG} {i}" for i in range(40)]}), ()),
    "many labels that the model lacks": (parquet_of({"text": TEXTS * 25, "label": MANY}), ()),
    "numbers from 1": (parquet_of({"text": TEXTS * 25, "label": list(range(1, 1001))}), ()),
    "signs": (parquet_of({"text": TEXTS * 2, "label": [-1, 1] * 40}), ()),
    "a file that is not there": (lambda folder: folder / FILE, ()),
    "a kind that is not known": (file_of("x", "f" * 240 + ".docx"), ()),
    "a damaged Parquet file": (file_of("PAR1" + LONG, "f" * 240 + ".parquet"), ()),
    "a cut array": (file_of(json.dumps(records(PAIRS))[:-9], "f" * 240 + ".json"), ()),
    "a map of names that the model lacks": (file_of(table(PAIRS)), ("--label-map", "{map}")),
    "a map without the labels": (parquet_of({"text": TEXTS, "label": MANY[:40]}), ("--label-map", "{known}")),
    "no label, but columns of classes": (parquet_of({"text": ["w1"] * 3, **dict.fromkeys(WIDE, GIVEN)}), ()),
    "several columns of labels": (parquet_of({"text": GIVEN, "sentiment": GIVEN, "intent": GIVEN, LONG: GIVEN}), ()),
}  # fmt: skip


def other_encoding(folder: Path) -> Path:
    path = folder / ("h" * 240 + ".csv")
    path.write_bytes(table([("Müller köpft zum Sieg" * 500, CLASSES[0])] * 30).encode("cp1252"))
    return path


@pytest.mark.parametrize("name", CASES)
def test_a_message_is_one_short_line(name: str, many_classes: ModelBundle, lossrank: Lossrank, tmp_path: Path) -> None:
    make, options = CASES[name]
    data = make(tmp_path)
    maps = {"{map}": {"World": LONG}, "{known}": {LONG: CLASSES[0]}}
    for place, content in maps.items():
        (tmp_path / f"{place[1:-1]}.json").write_text(json.dumps(content))
    given = [str(tmp_path / f"{option[1:-1]}.json") if option in maps else option for option in options]
    result = lossrank("score", many_classes.path, data, "-o", tmp_path / "run", "--threads", 1, *given)
    if result.exit_code == 0:
        assert all(len(line) <= LONGEST for line in result.stderr.splitlines()), max(
            result.stderr.splitlines(), key=len
        )
        return
    said = message(result)
    assert len(said) <= LONGEST, f"{len(said)}: {said[:300]}...{said[-200:]}"
