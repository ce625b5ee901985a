"""CSV and TSV files: delimiters, headers, columns, missing values and rows of other lengths."""

import gzip
import json

from tests.inputs.case import (
    ISSUE,
    NEWS,
    OWN,
    Input,
    either,
    lines,
    numbered,
    parquet,
    quoted,
    row,
    scored,
    stops,
    table,
    unlabelled,
)
from tests.support.tiny import CLASSES

FOUR = {str(i): name for i, name in enumerate(CLASSES, start=1)}
MAP = (("map.json", json.dumps(FOUR)),)
TITLED = [(text.split()[0], " ".join(text.split()[1:]), label) for text, label in NEWS]
AG = lines(*(f'"{CLASSES.index(label) + 1}","{title}","{text}"' for title, text, label in TITLED))
JOINED = ("--columns", "label,title,text", "--text-column", "title", "--text-column", "text")
SPAM = (("Meet me at the station at 5", "ham"), ("WIN a £900 prize now, call 0900", "spam"), ("ok see you", "ham")) * 2
COMMAS = [(text.replace(" ", ", ", 1), label) for text, label in NEWS]
MISSING = ("NaN", "nan", "None", "<NA>", "\\N", "", '""', "   ")
NONE = ("NaN", "nan", "\\N", "", "<NA>", "None")
WORDS = (("N/A is not a goal, said the coach".replace(",", ""), "Sports"), ("n/a", "World"), ("NA", "World"))
MANY = NEWS * 2
LABELLED = "text\tlabel"
BROKEN = row(None, None, "unreadable")

CSV = [
    Input("semicolons", ISSUE, "news.csv", table(header="text;label", by=";"), scored(NEWS, "separated")),
    Input("tabs in a .csv", ISSUE, "news.csv", table(header="text\tlabel", by="\t"), scored()),
    Input("pipes", ISSUE, "news.csv", table(header="text|label", by="|"), scored(NEWS, "separated")),
    Input(
        "a tab in the header and four blanks in the rows", OWN, "blanks.tsv", table(NEWS, "text\tlabel", "    "),
        stops("blanks.tsv"),
    ),
    Input("commas in a .tsv", OWN, "news.tsv", table(), scored()),
    Input("semicolons, and commas in every text", ISSUE, "de.csv", table(COMMAS, "text;label", ";"), scored(COMMAS)),
    Input(
        "Excel's sep= line", ISSUE, "excel.csv", "sep=;\r\n" + table(header="text;label", by=";", end="\r\n"), scored(),
    ),
    Input("Excel's sep= line with a comma", OWN, "excel.csv", "sep=,\n" + table(), scored()),
    Input("--delimiter", ISSUE, "caret.csv", table(header="text^label", by="^"), scored(), ("--delimiter", "^")),
    Input(
        "Hive's ^A between the fields", OWN, "hive.csv", table(header="text\x01label", by="\x01"), scored(),
        ("--delimiter", "\x01"),
    ),
    Input(
        "a header with a delimiter that the rows lack", ISSUE, "one.csv", lines("text;label", "a game", "a war"),
        stops("one.csv"),
    ),
    Input(
        "AG News as it was published", ISSUE, "train.csv", AG, scored(NEWS),
        (*JOINED, "--label-map", "{folder}/map.json"), beside=MAP,
    ),
    Input("AG News without a map", ISSUE, "train.csv", AG, stops("--label-map", "Sci/Tech"), JOINED),
    Input(
        "texts joined by --join", ISSUE, "train.csv", AG, scored([(f"{title} | {text}", label)
        for title, text, label in TITLED]), (*JOINED, "--join", " | ", "--label-map", "{folder}/map.json"), beside=MAP,
    ),
    Input("no header", ISSUE, "plain.csv", table(header=""), stops("--columns", "plain.csv")),
    Input(
        "no header, and long texts", ISSUE, "long.csv", table([(text * 90, label) for text, label in NEWS], ""),
        stops("--columns", "long.csv"),
    ),
    Input("--columns", ISSUE, "plain.csv", table(header=""), scored(), ("--columns", "text,label")),
    Input(
        "a title and no header, one of two columns", "SMS Spam Collection (UCI)", "sms.tsv",
        table(((label, text) for text, label in SPAM), "", "\t"), scored(SPAM), ("--columns", "label,text"),
        classes=("ham", "spam"),
    ),
    Input(
        "AutoML's three columns without a header", OWN, "automl.csv", table((("TRAIN", *one) for one in NEWS), ""),
        scored(), ("--columns", "split,text,label"),
    ),
    Input(
        "--columns with a name too few", OWN, "plain.csv", table(header=""), stops("--columns"), ("--columns", "text"),
    ),
    Input(
        "--header for a header that looks like data", ISSUE, "odd.csv",
        table(header="The text of the news item as printed,label"), scored(),
        ("--header", "--text-column", "The text of the news item as printed"),
    ),
    Input(
        "Kaggle's spam.csv", ISSUE, "spam.csv", table(((label, f'"{text}"', "", "", "") for text, label in SPAM),
        "v1,v2,,,").encode("cp1252"), scored(SPAM), ("--encoding", "cp1252", "--text-column", "v2", "--label-column",
        "v1"), classes=("ham", "spam"),
    ),
    Input(
        "pandas' index without a name", ISSUE, "index.csv", table(((i, *one) for i, one in enumerate(NEWS)),
        ",text,label"), scored(),
    ),
    Input(
        "a repeated name that is not needed", ISSUE, "twice.csv",
        table(((*one, 1, 2) for one in NEWS), "text,label,x,x"), scored(),
    ),
    Input(
        "a repeated name that is needed", ISSUE, "twice.csv", table(((*one, "x") for one in NEWS), "text,label,text"),
        stops("text", "twice.csv"),
    ),
    Input("names in capitals, with blanks", ISSUE, "blanks.csv", table(header=" TEXT , Label "), scored()),
    Input(
        "a byte-order mark before a quoted name", "pandas-dev/pandas#4793", "bom.csv", "\ufeff" + quoted(), scored(),
    ),
    Input("a byte-order mark before the text's name", "biolab/orange3#7000", "bom.csv", "\ufeff" + table(), scored()),
    Input(
        "values that stand for nothing", ISSUE, "missing.csv", table((*NEWS, *((none, "World") for none in MISSING))),
        scored((*NEWS, *((None, "World") for _ in MISSING))),
    ),
    Input(
        "words that only look like missing values", "pandas-dev/pandas#24681", "words.csv", table((*NEWS, *WORDS)),
        scored((*NEWS, *WORDS)),
    ),
    Input(
        "labels that stand for nothing", ISSUE, "missing.tsv", table((*MANY,
        *((f"{NEWS[i][0]} {none}", none) for i, none in enumerate(NONE))), LABELLED, "\t"),
        scored((*MANY, *((f"{NEWS[i][0]} {none}", None) for i, none in enumerate(NONE)))),
    ),
    Input(
        "a class that is called null", "pandas-dev/pandas#48712", "null.csv",
        table((("nothing", "null"), ("full", "whole")) * 3), scored((("nothing", "null"), ("full", "whole")) * 3),
        classes=("null", "whole"),
    ),
    Input(
        "a class that is called none", "pandas-dev/pandas#32084", "none.csv",
        table((("a calm text", "none"), ("an angry text", "hate")) * 3),
        scored((("a calm text", "none"), ("an angry text", "hate")) * 3), classes=("none", "hate"),
    ),
    Input(
        "a label left out with its delimiter", ISSUE, "short.tsv",
        lines("text\tlabel", *("\t".join(one) for one in NEWS), "The unlabelled story"),
        scored((*NEWS, ("The unlabelled story", None))),
    ),
    Input("commas at the end of every line", ISSUE, "commas.csv", table((*one, "") for one in NEWS), scored()),
    Input(
        "a comma at the end of the header too", OWN, "commas.csv", table(((*one, "") for one in NEWS), "text,label,"),
        scored(),
    ),
    Input(
        "R's row names without a header", "own", "r.csv", table((i, *one) for i, one in enumerate(NEWS)),
        stops("r.csv", "header"),
    ),
    Input("a line above the header", ISSUE, "report.csv", "News of the week\n" + table(), stops("report.csv")),
    Input(
        "comment lines above the header", "nietras/Sep#274", "comment.csv",
        "# created 4/22/2025\n# by hand\n" + table(), either(NEWS, "comment.csv"),
    ),
    Input(
        "metadata of other lengths above the header", "mholt/PapaParse#794", "meta.csv",
        'file,a.csv\nversion,1,"x, y",2\n' + table(((i, *one) for i, one in enumerate(NEWS)), "id,text,label"),
        stops("meta.csv"),
    ),
    Input(
        "a blank line after the header", "apache/arrow#2883", "blank.csv", "text,label\n\n" + table(header=""),
        scored(),
    ),
    Input(
        "blank lines before the header and between the rows", OWN, "blank.csv", "\n\n" + table(end="\n\n"), scored(),
    ),
    Input(
        "a spreadsheet's rows of commas at the end", OWN, "tail.csv", table() + ",\n,\n",
        scored((*NEWS, (None, None), (None, None))),
    ),
    Input(
        "a comma in one text without quotes", "pola-rs/polars#10585", "ragged.csv",
        table((*NEWS, ("Shares fell, again", "Business"))), scored([*(row(*one) for one in NEWS), BROKEN]),
    ),
    Input(
        "the same with --on-error fail", "pola-rs/polars#10585", "ragged.csv",
        table((*NEWS, ("Shares fell, again", "Business"))), stops("ragged.csv", "--on-error"), ("--on-error", "fail"),
    ),
    Input(
        "a row with only its first field", "pola-rs/polars#10585", "first.csv",
        table((*((label, text) for text, label in NEWS), ("World",)), "label,text"), scored((*NEWS, (None, "World"))),
    ),
    Input(
        "the header again in the middle", OWN, "cat.csv", table(MANY) + table(MANY),
        scored([*(row(*one) for one in MANY), row("text", None, "unknown_label"), *(row(*one) for one in MANY)]),
    ),
    Input("only a header", OWN, "header.csv", "text,label\n", stops("header.csv", "no rows")),
    Input("an empty file", OWN, "empty.csv", b"", stops("empty.csv", "empty")),
    Input(
        "texts alone, with --no-label", ISSUE, "texts.csv", table([(f'"{text}"',) for text, _ in NEWS], "text"),
        scored(unlabelled()), ("--no-label",),
    ),
    Input("texts and labels, with --no-label", ISSUE, "labelled.csv", table(), scored(unlabelled()), ("--no-label",)),
    Input(
        "an id column with a name of its own", OWN, "ids.csv", table(((f"00{i}", *one) for i, one in enumerate(NEWS)),
        "Nr.,text,label"), scored(), ("--id-column", "Nr."),
    ),
    Input(
        "Labelbox's columns, with skipped rows", "Labelbox/labelbox-custom-labeling-apps#62", "export.csv",
        table((*NEWS[:4], ("A text nobody liked", "Skip")), "Labeled Data,Label"), stops("Skip", "--label-map"),
        ("--text-column", "Labeled Data"),
    ),
    Input(
        "Labelbox's columns, with skipped rows left out", "Labelbox/labelbox-custom-labeling-apps#62", "export.csv",
        table((*NEWS[:4], ("A text nobody liked", "Skip")), "Labeled Data,Label"),
        scored([*(row(*one) for one in NEWS[:4]), row("A text nobody liked", None, "unknown_label")]),
        ("--text-column", "Labeled Data", "--label-map", "{folder}/map.json"), beside=(("map.json", '{"Skip": null}'),),
    ),
    Input(
        "numbers as floats, for some are missing", "cleanlab/cleanlab#613", "floats.csv",
        table((*((text, float(n)) for text, n in numbered()), ("No label", ""))), scored((*NEWS, ("No label", None))),
    ),
    Input("gzipped", OWN, "news.csv.gz", gzip.compress(table().encode()), scored()),
    Input("gzipped, without saying so", OWN, "news.csv", gzip.compress(table().encode()), either(NEWS, "news.csv")),
    Input("a Parquet file that is called .csv", OWN, "news.csv", parquet(), either(NEWS, "news.csv")),
    Input(
        "Git LFS's pointer", OWN, "lfs.csv", lines("version https://git-lfs.github.com/spec/v1",
        "oid sha256:" + "0f" * 32, "size 1234"), stops("lfs.csv"),
    ),
    Input(
        "a log-in page", OWN, "login.csv", lines("<!DOCTYPE html>", "<html><head><title>Log in</title></head>",
        "<body>Please log in, or register</body></html>"), stops("login.csv"),
    ),
]  # fmt: skip
