"""Labels: which classes they are, which rows have none, and when the run must ask."""

import json
from decimal import Decimal
from pathlib import Path

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tests.inputs.case import (
    BINARY,
    ISSUE,
    NEWS,
    OWN,
    THREE,
    Input,
    either,
    lines,
    numbered,
    parquet,
    parquet_of,
    row,
    scored,
    stops,
    table,
    unlabelled,
)
from tests.support import ROOT
from tests.support.tiny import CLASSES

POLARITY = tuple((f"a film of kind {i}", BINARY[i % 2]) for i in range(8))
MOODS = tuple((f"a remark of kind {i}", THREE[i % 3]) for i in range(12))
SORTED = [(f"{text} {i}", "World") for i, (text, _) in enumerate(NEWS * 60)]
POLITICS = [(text, "Politics") for text, _ in NEWS * 20]
ONES = [("a film", 1)] * 600 + [("a movie", 2)] * 600
RARE = [(text, f"topic {i}") for i, (text, _) in enumerate(NEWS * 10)]
FULL = json.dumps({str(i): name for i, name in enumerate(CLASSES, 1)})
ECONOMY = ("\u00c9conomie", "Sport")  # composed; the data has it decomposed
FRENCH = (("la bourse", ECONOMY[0]), ("le match", "Sport")) * 3
STARS = tuple(f"{i} star{'s' * (i > 1)}" for i in range(1, 6))
QNLI = (
    ("Where is the lake?", "The lake is in Zürich.", "entailment"),
    ("Who won?", "The game was long.", "not_entailment"),
) * 2
QNLI_CLASSES = ("entailment", "not_entailment")
ONE_HOT = [(text, *(int(label == name) for name in CLASSES)) for text, label in NEWS]
ROWS = [row(*one) for one in NEWS]


def signs(rows: tuple[tuple[str, str], ...], classes: tuple[str, ...], values: tuple[int, ...]) -> str:
    """Return a CSV file whose labels are these values, in the classes' order."""
    return table((text, values[classes.index(label)]) for text, label in rows)


def permuted(path: Path) -> None:
    """Write AG News with the numbers of two classes exchanged."""
    data = pq.read_table(ROOT / "cli" / "demo_files" / "ag_news_test.parquet").slice(0, 400)
    names = [name.as_py() if isinstance(name.as_py(), str) else CLASSES[name.as_py()] for name in data["label"]]
    numbers = [(1, 0, 2, 3)[CLASSES.index(name)] for name in names]
    pq.write_table(pa.table({"text": data["text"], "label": numbers}), path)


def class_label(names: tuple[str, ...], numbers: list[int]) -> bytes:
    """Return a Parquet file whose label column names its classes, as `datasets` writes it."""
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(names))})
    data = pa.table({"text": [text for text, _ in NEWS], "label": pa.array(numbers, pa.int64())})
    return parquet_of(data.replace_schema_metadata(features.arrow_schema.metadata))


TURNED = CLASSES[::-1]
NAMED = [{"text": text, "label": TURNED.index(label), "label_text": label} for text, label in NEWS]

LABELS = [
    Input(
        "classes in blocks, the last unknown", ISSUE, "sorted.csv", table([*SORTED, *POLITICS]),
        stops("Politics", "--label-map"),
    ),
    Input(
        "the same as Parquet", ISSUE, "sorted.parquet", parquet([*SORTED, *POLITICS]), stops("Politics", "--label-map"),
    ),
    Input("1 and 2 in blocks on two classes", ISSUE, "binary.csv", table(ONES), stops("--label-map"), classes=BINARY),
    Input(
        "1 and 2 in blocks, as Parquet", ISSUE, "binary.parquet", parquet(ONES), stops("--label-map"), classes=BINARY,
    ),
    Input(
        "numbers from 1 to 4", ISSUE, "four.csv", table(numbered(first=1)),
        stops("count from 1", "--label-map", "--write-label-map", without=('"1": "World"',)),
    ),
    Input(
        "a map without one of the labels", ISSUE, "four.csv", table(numbered(first=1)), stops("4", "--label-map"),
        ("--label-map", "{folder}/map.json"), beside=(("map.json", '{"1": "World", "2": "Sports", "3": "Business"}'),),
    ),
    Input(
        "a whole map", ISSUE, "four.csv", table(numbered(first=1)), scored(), ("--label-map", "{folder}/map.json"),
        beside=(("map.json", FULL),),
    ),
    Input(
        "a map that leaves a label out with null", ISSUE, "four.csv", table(numbered(first=1)),
        scored([row(text, None, "unknown_label") if label == "World" else row(text, label) for text, label in NEWS]),
        ("--label-map", "{folder}/map.json"), beside=(("map.json", FULL.replace('"World"', "null")),),
    ),
    Input(
        "a map with a byte-order mark", OWN, "four.csv", table(numbered(first=1)), either(NEWS, "map.json"),
        ("--label-map", "{folder}/map.json"), beside=(("map.json", "\ufeff" + FULL),),
    ),
    Input(
        "a map that is no JSON", OWN, "four.csv", table(numbered(first=1)), stops("map.json"),
        ("--label-map", "{folder}/map.json"), beside=(("map.json", FULL[:-1] + ",}"),),
    ),
    Input(
        "short names for two classes", ISSUE, "imdb.csv", table([("a dull film", "neg"), ("a fine film", "pos")] * 4),
        stops("--label-map", without=('"pos": "NEGATIVE"', '"neg": "POSITIVE"')), classes=BINARY,
    ),
    Input(
        "-1, 0 and 1 for three classes", ISSUE, "moods.csv", signs(MOODS, THREE, (-1, 0, 1)), stops("-1"),
        classes=THREE,
    ),
    Input(
        "-1, 0 and 1, with -1 for none", ISSUE, "moods.csv", table([("undecided", -1), *numbered(MOODS, THREE)]),
        scored([("undecided", None), *MOODS]), ("--no-label-value", "-1"), classes=THREE,
    ),
    Input(
        "-1 and 1 for two classes", ISSUE, "signs.csv", signs(POLARITY, BINARY, (-1, 1)), stops("-1"), classes=BINARY,
    ),
    Input(
        "+1 and -1 for two classes", OWN, "signs.csv", table([(text, "+1" if label == "POSITIVE" else "-1")
        for text, label in POLARITY]), stops("+1", "--label-map"), classes=BINARY,
    ),
    Input(
        "-1 for every row, as in GLUE's tests", ISSUE, "glue.parquet", parquet([(text, -1) for text, _ in NEWS]),
        scored(unlabelled()),
    ),
    Input(
        "-1 beside all four numbers", ISSUE, "some.parquet", parquet([*numbered(NEWS * 3), ("Not labelled", -1)]),
        scored([*NEWS * 3, ("Not labelled", None)]),
    ),
    Input(
        "another value for none", OWN, "unk.csv", table([*NEWS, ("Not labelled", "unsure")]),
        scored([*NEWS, ("Not labelled", None)]), ("--no-label-value", "unsure"),
    ),
    Input("many names, each rare", ISSUE, "rare.csv", table([*NEWS * 2, *RARE]), stops("topic", "--label-map")),
    Input(
        "a misspelt label in forty", ISSUE, "typo.csv", table([*NEWS * 4, ("The game", "Sprots")]),
        scored([*ROWS * 4, row("The game", None, "unknown_label")]),
    ),
    *(
        Input(f"labels in a column called {name}", ISSUE, f"{name}.csv", table(header=f"text,{name}"), scored())
        for name in ("sentiment", "Intent", "category", "coarse_label", "target", "y", " Labels ")
    ),
    Input(
        "labels in a column called stars", ISSUE, "stars.csv", table([("fine", STARS[3]), ("dull", STARS[0])] * 3,
        "text,stars"), scored([("fine", STARS[3]), ("dull", STARS[0])] * 3), classes=STARS,
    ),
    Input(
        "QNLI's pairs", ISSUE, "qnli.tsv", table(((i, *one) for i, one in enumerate(QNLI)),
        "index\tquestion\tsentence\tlabel", "\t"), scored([row(first, label, pair=second)
        for first, second, label in QNLI]), classes=QNLI_CLASSES,
    ),
    Input(
        "MRPC's columns", ISSUE, "mrpc.tsv", lines("Quality\t#1 ID\t#2 ID\t#1 String\t#2 String",
        *(f"{int(label == 'entailment')}\t1\t2\t{first}\t{second}" for first, second, label in QNLI)),
        either([row(first, label, pair=second) for first, second, label in QNLI], "column"),
        classes=("not_entailment", "entailment"),
    ),
    Input(
        "MNLI's pairs", OWN, "mnli.jsonl", lines(*(json.dumps({"premise": first, "hypothesis": second, "label": label})
        for first, second, label in QNLI)), scored([row(first, label, pair=second) for first, second, label in QNLI]),
        classes=QNLI_CLASSES,
    ),
    Input(
        "classes in a column with another name", ISSUE, "kind.csv", table(header="text,kind of news"),
        stops("kind of news", "--label-column"),
    ),
    Input(
        "the same with --no-label", ISSUE, "kind.csv", table(header="text,kind of news"), scored(unlabelled()),
        ("--text-column", "text", "--no-label"),
    ),
    Input(
        "two columns of labels", ISSUE, "trec.csv", table([(text, label, "other") for text, label in NEWS],
        "text,coarse_label,fine_label"), either(NEWS, "--label-column"),
    ),
    Input(
        "two columns of labels that are all classes", ISSUE, "both.csv",
        table([(text, label, "World") for text, label in NEWS], "text,sentiment,intent"), stops("--label-column"),
    ),
    Input(
        "a column for every class", OWN, "onehot.csv", table(ONE_HOT, "text," + ",".join(CLASSES)),
        either(unlabelled(), "--label-column"),
    ),
    Input(
        "decomposed names", ISSUE, "nfd.csv", table([(text, label.replace("\u00c9", "E\u0301"))
        for text, label in FRENCH]), scored(FRENCH), classes=ECONOMY,
    ),
    Input(
        "capitals and blanks in labels", "apple/turicreate#1531", "blanks.csv",
        table([(text, f" {label.upper()} ") for text, label in NEWS]), scored(),
    ),
    Input(
        "labels in several cases", "apple/turicreate#1528", "cases.jsonl",
        lines(*(json.dumps({"text": text, "label": label.lower() if i % 2 else label})
        for i, (text, label) in enumerate(NEWS))), scored(),
    ),
    Input(
        "decimals", ISSUE, "decimal.parquet", parquet([(text, Decimal(number)) for text, number in numbered()],
        label=pa.decimal128(38, 0)), scored(),
    ),
    Input(
        "whole numbers as floats", ISSUE, "float.parquet", parquet([(text, float(number))
        for text, number in numbered()]), scored(),
    ),
    Input("2.0 in a CSV", ISSUE, "float.csv", table([(text, float(number)) for text, number in numbered()]), scored()),
    Input(
        "numbers that are not whole", OWN, "score.csv", table([(text, 0.25 * number)
        for text, number in numbered(first=1)]), stops("label"),
    ),
    Input("a list of one", ISSUE, "list.parquet", parquet([(text, [label]) for text, label in NEWS]), scored()),
    Input(
        "a list of one, or none", OWN, "lists.parquet", parquet([*((text, [label]) for text, label in NEWS),
        ("Unlabelled", []), ("Null", None)]), scored([*NEWS, ("Unlabelled", None), ("Null", None)]),
    ),
    Input(
        "a list of two", OWN, "two.parquet", parquet([(text, [label, "World"]) for text, label in NEWS]),
        stops("label"),
    ),
    Input(
        "pandas' categories", OWN, "category.parquet", lambda path: pd.DataFrame(NEWS,
        columns=["text", "label"]).astype({"label": "category"}).to_parquet(path), scored(),
    ),
    Input(
        "numbers, and their names beside them in another order", OWN, "setfit.jsonl", lines(*map(json.dumps, NAMED)),
        either(NEWS, "label"),
    ),
    Input(
        "a ClassLabel in another order", OWN, "turned.parquet", class_label(TURNED,
        [TURNED.index(label) for _, label in NEWS]), scored(),
    ),
    Input(
        "a ClassLabel with a number too large", "huggingface/datasets#8494", "large.parquet",
        class_label(CLASSES, [*(number for _, number in numbered()[:-1]), 5]), stops("5"),
    ),
    Input(
        "numbers that leave out a class", "cleanlab/cleanlab#288", "three.parquet",
        parquet([one for one in numbered() if one[1] != 2]), scored([one for one in NEWS if one[1] != "Business"]),
    ),
    Input(
        "numbers above the last class", "RobRomijnders/CNN_tsc#2", "gap.csv",
        table([(text, 7 if number == 3 else number) for text, number in numbered()]), stops("7", "--label-map"),
    ),
    Input(
        "0 and 4, as in Sentiment140", "investigate.ai: Sentiment140", "tweets.csv", signs(POLARITY, BINARY, (0, 4)),
        stops("4", "--label-map"), classes=BINARY,
    ),
    Input(
        "1 to 5 for a model of stars", OWN, "reviews.csv", table([("fine", 4), ("dull", 1), ("well", 5), ("so so", 3),
        ("bad", 2)]), either([("fine", STARS[3]), ("dull", STARS[0]), ("well", STARS[4]), ("so so", STARS[2]),
        ("bad", STARS[1])], "--label-map"), classes=STARS,
    ),
    Input(
        "LABEL_1 for a model that has names", OWN, "generic.csv",
        table([(text, f"LABEL_{number}") for text, number in numbered()]), either(NEWS, "--label-map"),
    ),
    Input(
        "several labels in one field", OWN, "multi.csv", table([(text, f"{label}|World") for text, label in NEWS]),
        stops("--label-map"),
    ),
    Input("two numbers exchanged", ISSUE, "permuted.parquet", permuted, stops("--label-map", "Sports")),
    Input(
        "booleans in Parquet", OWN, "bool.parquet", parquet([(text, label == "POSITIVE") for text, label in POLARITY]),
        scored(POLARITY), classes=BINARY,
    ),
    Input(
        "a text column of large strings in a dictionary", OWN, "dictionary.parquet",
        parquet(text=pa.dictionary(pa.int32(), pa.large_string())), scored(),
    ),
]  # fmt: skip
