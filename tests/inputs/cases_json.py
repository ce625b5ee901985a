"""JSON lines, arrays of objects, and other shapes of JSON."""

import gzip
import io
import json

import pandas as pd
import polars as pl

from tests.inputs.case import (
    BINARY,
    ISSUE,
    NEWS,
    OWN,
    Input,
    either,
    json_lines,
    numbered,
    records,
    row,
    scored,
    stops,
)
from tests.support.tiny import CLASSES

FRAME = pd.DataFrame(records())
OBJECTS = [json.dumps(record, ensure_ascii=False) for record in records()]
ROWS = [row(*one) for one in NEWS]
BROKEN = row(None, None, "unreadable")
POLARITY = (("a dreadful film", "NEGATIVE"), ("a wonderful film", "POSITIVE")) * 3
SEPARATED = [(f"{text}\u2028first\u2029second\x85third", label) for text, label in NEWS]
MIXED = [{"text": float("nan"), "label": "World"}, {"text": 5, "label": "World"}, *records()]
NONE = [("NaN", "World"), ("None", "World"), ("", "World"), (None, "World"), ("\\N", "World"), ("<NA>", "World")]


def orient(name: str) -> str:
    """Return the rows as pandas writes them in one of its orientations."""
    return str(FRAME.to_json(orient=name, force_ascii=False))


def polars_array() -> bytes:
    """Return the rows as polars writes JSON."""
    stream = io.BytesIO()
    pl.DataFrame(records()).write_json(stream)
    return stream.getvalue()


JSON = [
    Input("lines with escapes", OWN, "escaped.jsonl", json_lines(records(), ensure_ascii=True), scored()),
    Input("an array on one line, as pandas writes it", ISSUE, "array.json", orient("records"), scored()),
    Input("an array with an object a line", ISSUE, "array.json", "[" + ",\n".join(OBJECTS) + "]\n", scored()),
    Input("an array with commas first", OWN, "array.json", "[\n" + "\n,".join(OBJECTS) + "\n]", scored()),
    Input("an indented array", ISSUE, "array.json", json.dumps(records(), indent=4, ensure_ascii=False), scored()),
    Input("an array, gzipped", ISSUE, "array.json.gz", gzip.compress(json.dumps(records()).encode()), scored()),
    Input("polars' write_json", "pola-rs/polars#21950", "polars.json", polars_array(), scored()),
    Input(
        "an array that is called .jsonl", "doccano/doccano#454", "array.jsonl", json.dumps(records()),
        either(NEWS, "array.jsonl"),
    ),
    Input("lines that are called .json", "lil-lab/nlvr#1", "train.json", json_lines(records()), scored()),
    Input(
        "indented objects one after the other", "google-research-datasets/sentence-compression#1", "comp.json",
        "\n\n".join(json.dumps(record, indent=2) for record in records()), scored(),
    ),
    Input(
        "indented objects in a .jsonl", "google-research-datasets/sentence-compression#1", "comp.jsonl",
        "\n".join(json.dumps(record, indent=2) for record in records()), either(NEWS, "comp.jsonl"),
    ),
    Input("objects on one line without a space", "danieldeutsch/repro#8", "stuck.json", "".join(OBJECTS), scored()),
    Input("one object", "huggingface/datasets#8086", "one.json", json.dumps(records()[0], indent=1), scored(NEWS[:1])),
    Input("a wrapper", ISSUE, "wrapped.json", json.dumps({"data": records()}), stops("wrapped.json", "json")),
    Input(
        "a wrapper with a version before it", OWN, "wrapped.json", json.dumps({"version": "1.1", "rows": records()}),
        stops("wrapped.json"),
    ),
    Input(
        "the splits in one object", OWN, "splits.json", json.dumps({"train": records(), "test": records()}),
        stops("train"),
    ),
    *(
        Input(f"pandas' orient={name}", ISSUE, f"{name}.json", orient(name), stops(f"{name}.json", word))
        for name, word in (("split", "split"), ("columns", "columns"), ("index", "index"), ("values", "json"))
    ),
    Input("pandas' orient=table", OWN, "table.json", orient("table"), stops("table.json")),
    Input(
        "an array with a comma at its end", "kgabis/parson#178", "comma.json",
        "[\n" + "".join(f"{one},\n" for one in OBJECTS) + "]", either(NEWS, "comma.json"),
    ),
    Input("an array that was cut off", OWN, "cut.json", json.dumps(records())[:-40], stops("cut.json")),
    Input(
        "an array that was cut off, gzipped", OWN, "cut.json.gz", gzip.compress(json.dumps(records()).encode())[:-40],
        stops("cut.json.gz"),
    ),
    Input(
        "a last line that was cut off", OWN, "cut.jsonl", json_lines(records()) + '{"text": "The last',
        scored([*ROWS, BROKEN]),
    ),
    Input(
        "commas after the lines", OWN, "commas.jsonl", "".join(f"{one},\n" for one in OBJECTS),
        either(NEWS, "commas.jsonl"),
    ),
    Input(
        "Python's dicts in lines", OWN, "dicts.jsonl", "".join(f"{one}\n" for one in records()), stops("dicts.jsonl"),
    ),
    Input("CRLF and blank lines", OWN, "blank.jsonl", json_lines(records(), end="\r\n\r\n"), scored()),
    Input(
        "separators of Unicode in lines", "huggingface/datasets#3729", "unicode.jsonl", json_lines(records(SEPARATED)),
        scored(SEPARATED),
    ),
    Input(
        "separators of Unicode in an array", "huggingface/tau#354", "unicode.json",
        json.dumps(records(SEPARATED), ensure_ascii=False), scored(SEPARATED),
    ),
    Input(
        "NaN and numbers among the first texts", ISSUE, "nan.jsonl", json_lines(MIXED),
        scored([(None, "World"), ("5", "World"), *NEWS]),
    ),
    Input(
        "NaN and numbers in an array", "pandas-dev/pandas#12213", "nan.json", json.dumps(MIXED),
        scored([(None, "World"), ("5", "World"), *NEWS]),
    ),
    Input(
        "NaN as a label", "pandas-dev/pandas#30716", "nan.jsonl",
        json_lines([*records(), {"text": "An unlabelled text", "label": float("nan")}]),
        scored((*NEWS, ("An unlabelled text", None))),
    ),
    Input(
        "strings that stand for nothing", ISSUE, "none.jsonl", json_lines(records((*NEWS, *NONE))),
        scored((*NEWS, *((None, label) for _, label in NONE))),
    ),
    Input(
        "keys that not every line has", ISSUE, "optional.jsonl",
        json_lines([*records(), {"text": "No label here"}, {"label": "World"},
        {"text": "Late", "label": "World", "new": [1]}]), scored((*NEWS, ("No label here", None), (None, "World"),
        ("Late", "World"))),
    ),
    Input(
        "keys that only some lines have, first", "pandas-dev/pandas#39860", "late.jsonl",
        json_lines([{"id": 1}, *records()]), scored([(None, None), *NEWS]),
    ),
    Input(
        "labels as floats", ISSUE, "floats.jsonl", json_lines(records([(text, float(number))
        for text, number in numbered()])), scored(),
    ),
    Input(
        "labels as strings of floats", "THUDM/slime#538", "floats.jsonl",
        json_lines(records([(text, str(float(number))) for text, number in numbered()])), scored(),
    ),
    Input(
        "labels as strings and as numbers", "huggingface/datasets#6106", "mixed.jsonl",
        json_lines(records([(text, number if number % 2 else str(number)) for text, number in numbered()])), scored(),
    ),
    Input(
        "labels as true and false", OWN, "bool.jsonl", json_lines(records([(text, label == "POSITIVE")
        for text, label in POLARITY])), scored(POLARITY), classes=BINARY,
    ),
    Input(
        "a label in a list of one", ISSUE, "list.jsonl", json_lines(records([(text, [label])
        for text, label in NEWS])), scored(),
    ),
    Input(
        "labels in lists of two", OWN, "two.jsonl", json_lines(records([(text, [label, "World"])
        for text, label in NEWS])), stops("label"),
    ),
    Input(
        "labels in lists of one, some empty", OWN, "some.jsonl",
        json_lines(records([*((text, [label]) for text, label in NEWS), ("Unlabelled", [])])),
        scored((*NEWS, ("Unlabelled", None))),
    ),
    Input(
        "a label in an object", OWN, "object.jsonl", json_lines(records([(text, {"name": label})
        for text, label in NEWS])), stops("label"),
    ),
    Input(
        "a text in a list of tokens", OWN, "tokens.jsonl", json_lines(records([(text.split(), label)
        for text, label in NEWS])), stops("text"),
    ),
    Input(
        "a lone surrogate", OWN, "surrogate.jsonl",
        json_lines(records()) + '{"text": "half \\ud83d", "label": "World"}\n',
        scored([*ROWS, row(None, None, "invalid_text")]),
    ),
    Input(
        "a pair of surrogates", OWN, "emoji.jsonl",
        json_lines(records()) + '{"text": "whole \\ud83d\\ude00", "label": "World"}\n',
        scored((*NEWS, ("whole 😀", "World"))),
    ),
    Input(
        "a comment in the first line", OWN, "comment.jsonl", "// exported today\n" + json_lines(records()),
        either([BROKEN, *ROWS], "comment.jsonl"),
    ),
    Input(
        "MongoDB's ids", OWN, "mongo.jsonl", json_lines([{"_id": {"$oid": f"{i:024x}"}, **record}
        for i, record in enumerate(records())]), scored(),
    ),
    Input(
        "MongoDB's ids in an array", OWN, "mongo.json", json.dumps([{"_id": {"$oid": f"{i:024x}"}, **record}
        for i, record in enumerate(records())]), scored(),
    ),
    Input(
        "keys in capitals, with blanks", ISSUE, "keys.jsonl", json_lines(records(text=" Text", label="LABEL ")),
        scored(),
    ),
    Input(
        "OpenAI's prompts and completions", OWN, "tuning.jsonl",
        json_lines(records([(text, f" {label}") for text, label in NEWS], "prompt", "completion")), scored(),
        ("--text-column", "prompt", "--label-column", "completion"),
    ),
    Input(
        "OpenAI's chats", OWN, "chat.jsonl", json_lines([{"messages": [{"role": "user", "content": text},
        {"role": "assistant", "content": label}]} for text, label in NEWS]), stops("column"),
    ),
    Input("nothing in an array", OWN, "nothing.json", "[]", stops("nothing.json")),
    Input("strings in an array", OWN, "strings.json", json.dumps([text for text, _ in NEWS]), stops("strings.json")),
    Input("strings in lines", OWN, "strings.jsonl", json_lines([text for text, _ in NEWS]), stops("strings.jsonl")),
    Input(
        "an object among an array's that is none", OWN, "odd.json", json.dumps([*records()[:5], 7, *records()[5:]]),
        either([*ROWS[:5], BROKEN, *ROWS[5:]], "odd.json"),
    ),
    Input(
        "Elasticsearch's bulk lines", OWN, "bulk.jsonl", "".join('{"index": {}}\n' + one + "\n" for one in OBJECTS),
        either([each for one in ROWS for each in (row(None, None), one)], "bulk.jsonl"),
    ),
    Input(
        "texts with JSON within", "huggingface/datasets#7664", "within.jsonl",
        json_lines(records([(json.dumps({"text": text, "label": label}), label) for text, label in NEWS])),
        scored([(json.dumps({"text": text, "label": label}), label) for text, label in NEWS]),
    ),
    Input(
        "the class' number as a string", OWN, "string.jsonl", json_lines(records([(text, str(CLASSES.index(label)))
        for text, label in NEWS])), scored(),
    ),
]  # fmt: skip
