"""Files in which a double quote may enclose a field or be part of the text, and line ends within texts."""

import gzip

from tests.inputs.case import ISSUE, NEWS, OWN, Input, either, lines, quoted, row, scored, stops, table

GLUE = "sentence\tlabel"
OPENS = ('"The talks in the capital are over', "World")
CLOSES = ('and the striker said we won the match"', "Sports")
INNER = ('The bank called it a "soft landing" for shares', "Business")
SWALLOWS = (*NEWS[:2], OPENS, *NEWS[2:5], CLOSES, *NEWS[5:])
PAIRS = (
    ('"The old bridge is closed', "The bridge that is closed is old", "paraphrase"),
    ('He called the plan "bold"', "The plan was called bold", "paraphrase"),
    ("A train left for Zürich", 'Zürich is where "the train', "different"),
    ("The lake is 30 m deep", "The lake is 13 m deep", "different"),
)
ESCAPED = (('He said "no" and left the parliament', "World"), ('They "won", twice, this season', "Sports"))
PADDED = (
    ("Banana boats, 8 dollars a day, sell well", "Business"),
    ("Wrench set for the space station, 18 pieces", "Sci/Tech"),
    ("The cup final is on Sunday", "Sports"),
)
LETTER = "Dear voters, the war is over,\nthe treaty, at last, is signed"
BLOCK = "x" * (65_535 - len('text,label\n"'))  # its CR is the last byte of a block of 64 KiB
STRADDLING = ((f"{BLOCK}\r\nThe second line of the report", "Business"), *NEWS)
WIDE = " ".join(["profit"] * 30_000)
RETURNED = (("The first line\rand the second line about football", "Sports"), *NEWS)

QUOTES = [
    Input(
        "a TSV with quotes at the start and within texts", ISSUE, "dev.tsv", table((*SWALLOWS, INNER), GLUE, "\t"),
        scored((*SWALLOWS, INNER), "quot"),
    ),
    Input(
        "a TSV where a quote swallows lines", ISSUE, "dev.tsv", table(SWALLOWS, GLUE, "\t"),
        either(SWALLOWS, "--quoting"),
    ),
    Input("the same as CSV", ISSUE, "dev.csv", table(SWALLOWS), either(SWALLOWS, "--quoting")),
    Input("the same with --quoting none", ISSUE, "dev.csv", table(SWALLOWS), scored(SWALLOWS), ("--quoting", "none")),
    Input(
        "the same, gzipped, with --quoting none", ISSUE, "dev.tsv.gz",
        gzip.compress(table(SWALLOWS, GLUE, "\t").encode()), scored(SWALLOWS), ("--quoting", "none"),
    ),
    Input(
        "evidence for both readings", ISSUE, "dev.tsv", table((("\"He\" left", "World"), *SWALLOWS),
        '"sentence"\t"label"', "\t"), stops("--quoting", "dev.tsv"),
    ),
    Input(
        "pairs with lone quotes", "huggingface/datasets#1763", "paws.tsv",
        table(((i, *pair) for i, pair in enumerate(PAIRS)), "id\tsentence1\tsentence2\tlabel", "\t"),
        scored([row(first, label, pair=second) for first, second, label in PAIRS]), classes=("different", "paraphrase"),
    ),
    Input(
        "a line that starts with a quote, and quotes within another", "pytorch/text#612", "lines.tsv",
        table((*NEWS[:3], ('"Second day of the talks', "World"), ('Fifth"game"', "Sports")), "text\tlabel", "\t"),
        scored((*NEWS[:3], ('"Second day of the talks', "World"), ('Fifth"game"', "Sports"))),
    ),
    Input(
        "a file of free text without quoting", "eth-easl/modyn#473", "huffpost.csv",
        table((*NEWS, ('5" pipes are sold out', "Business"), ('The "war', "World"))),
        scored((*NEWS, ('5" pipes are sold out', "Business"), ('The "war', "World"))),
    ),
    Input(
        "two million lines too few, in short", "pandas-dev/pandas#21695", "free.tsv",
        table((*NEWS[:4], ('"', "World"), *NEWS[4:8], ('he said "', "Sports"), *NEWS[8:]), "text\tlabel", "\t"),
        either((*NEWS[:4], ('"', "World"), *NEWS[4:8], ('he said "', "Sports"), *NEWS[8:]), "--quoting"),
    ),
    Input(
        "a quote at the start of an unquoted last field", "pola-rs/polars#14929", "embedded.csv",
        table(((label, text) for text, label in (*NEWS, INNER, ('6" of snow fell', "World"))), "label,text"),
        scored((*NEWS, INNER, ('6" of snow fell', "World"))),
    ),
    Input(
        "doubled quotes", "sparklyr/sparklyr#374", "danger.csv",
        table((*NEWS, ('"Tim ""Danger"" Yates, 14, won the race"', "Sports"))),
        scored((*NEWS, ('Tim "Danger" Yates, 14, won the race', "Sports"))),
    ),
    Input(
        "quotes escaped by a backslash, with delimiters", "databricks/spark-csv#390", "spark.csv",
        table((*NEWS, (r'"He said \"no\" and left the parliament"', "World"),
        (r'"They \"won\", twice, this season"', "Sports"))), either((*NEWS, *ESCAPED), "spark.csv"),
    ),
    Input(
        "quotes escaped by a backslash, every field quoted", "pandas-dev/pandas#33720", "quoted.csv",
        quoted((*NEWS, (r'The \"soft\" landing', "Business"))), either((*NEWS, ('The "soft" landing', "Business")),
        "quoted.csv"),
    ),
    Input(
        "a letter in a quoted field whose lines look like rows", ISSUE, "letter.csv",
        table((*NEWS, (f'"{LETTER}"', "World"))), either((*NEWS, (LETTER, "World")), "--quoting"),
    ),
    Input(
        "the same with --quoting minimal", ISSUE, "letter.csv", table((*NEWS, (f'"{LETTER}"', "World"))),
        scored((*NEWS, (LETTER, "World"))), ("--quoting", "minimal"),
    ),
    Input(
        "several lines in quoted fields of every row", "pandas-dev/pandas#59009", "lines.csv",
        table([(f'"{text}\nAnother line"', label) for text, label in NEWS]),
        scored([(f"{text}\nAnother line", label) for text, label in NEWS]),
    ),
    Input(
        "CRLF within quoted fields and at the ends of lines", "Eventual-Inc/Daft#902", "mail.csv",
        table([(f'"{text}\r\nRegards"', label) for text, label in NEWS], end="\r\n"),
        scored([(f"{text}\r\nRegards", label) for text, label in NEWS]),
    ),
    Input(
        "CRLF within a field, across blocks", "apache/arrow#51368", "blocks.csv",
        table([(f'"{text}"', label) for text, label in STRADDLING]), scored(STRADDLING),
    ),
    Input(
        "a carriage return in a text without quotes", "pandas-dev/pandas#10018", "cr.csv", table(RETURNED),
        either(RETURNED, "cr.csv"),
    ),
    Input(
        "texts that end in a carriage return without quotes", "pandas-dev/pandas#22678", "damage.csv",
        table([(i, f"{text}\r", label) for i, (text, label) in enumerate(NEWS)], "before,text,label"),
        either([(f"{text}\r", label) for text, label in NEWS], "damage.csv"),
    ),
    Input(
        "carriage returns in quoted texts", "pandas-dev/pandas#27737", "quoted-cr.csv",
        quoted([(f"{text}\rmore", label) for text, label in NEWS]),
        scored([(f"{text}\rmore", label) for text, label in NEWS]),
    ),
    Input(
        "lines that end in CR alone", "huggingface/datasets#713", "mac.csv", table(end="\r"), either(NEWS, "mac.csv"),
    ),
    Input(
        "CRLF and LF mixed, none at the end", "pola-rs/polars#21441", "mixed.csv",
        (table(NEWS[:6], end="\r\n") + table(NEWS[6:], "")).rstrip("\n"), scored(),
    ),
    Input(
        "a quote that is never closed", "pandas: EOF inside string (uchet-jkh.ru)", "open.csv",
        table((*NEWS, ('"The last word of the minister', "World"))),
        either((*NEWS, ('"The last word of the minister', "World")), "open.csv"),
    ),
    Input(
        "a space before each quote", "mholt/PapaParse#829", "shop.csv",
        lines("id, text, label", *(f'{i}, "{text}", {label}' for i, (text, label) in enumerate(PADDED))),
        either(PADDED, "shop.csv"),
    ),
    Input(
        "a space before each quote and no comma within", "python/cpython#154744", "spaced.csv",
        lines("text, label", *(f'"{text}", "{label}"' for text, label in NEWS)), either(NEWS, "spaced.csv"),
    ),
    Input(
        "a space after each closing quote", OWN, "after.csv", table([(f'"{text}" ', label) for text, label in NEWS]),
        either(NEWS, "after.csv"),
    ),
    Input(
        "line ends after a backslash, as MySQL writes them", OWN, "outfile.tsv",
        table([(f"{text}\\\nmore", label) for text, label in NEWS], "text\tlabel", "\t"),
        either([(f"{text}\nmore", label) for text, label in NEWS], "outfile.tsv"),
    ),
    Input(
        "empty quoted fields", "pandas-dev/pandas#10205", "empty.csv",
        quoted((*NEWS, ("", "World"), ("The last game", ""))), scored((*NEWS, (None, "World"),
        ("The last game", None))),
    ),
    Input(
        "typographic quotes", OWN, "typographic.csv", table((*NEWS,
        ("“We won,” she said of the match".replace(",", ""), "Sports"))),
        scored((*NEWS, ("“We won” she said of the match", "Sports"))),
    ),
    Input(
        "a text longer than the csv module takes", OWN, "long.csv", table((*NEWS, (WIDE, "Business"))),
        scored((*NEWS, (WIDE, "Business"))),
    ),
    Input(
        "line separators of Unicode in CSV", "huggingface/datasets#3729", "separators.csv",
        table([(f"{text}\u2029and\u2028more\x85here", label) for text, label in NEWS]),
        scored([(f"{text}\u2029and\u2028more\x85here", label) for text, label in NEWS]),
    ),
]  # fmt: skip
