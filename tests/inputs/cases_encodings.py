"""Text files in other encodings than UTF-8."""

import json

from tests.inputs.case import EUROPEAN, ISSUE, NEWS, OWN, Input, either, json_lines, records, row, scored, stops, table

CHINESE = (
    ("总统在首都会见了外国代表团并签署了和平协议", "World"),
    ("球队在最后一分钟进球赢得了比赛", "Sports"),
    ("公司的股价下跌银行下调预测", "Business"),
) * 3
JAPANESE = (("首相は選挙の結果について国会で説明した", "World"), ("日本代表は試合に勝ち優勝を決めた", "Sports")) * 4
RUSSIAN = (
    ("Президент прибыл в столицу на переговоры о мире", "World"),
    ("Сборная выиграла матч со счётом три ноль", "Sports"),
) * 4
POLISH = (
    ("Żółte kartki zobaczyło pięciu piłkarzy drużyny z Łodzi", "Sports"),
    ("Źródła w rządzie mówią o wcześniejszych wyborach", "World"),
) * 4
SMART = (("It’s the bank’s “worst” year – profits fell", "Business"), ("Koreas’ leaders meet", "World")) * 4
BAD = table().encode().replace("São".encode(), "São".encode("latin-1"))

ENCODINGS = [
    Input("cp1252", ISSUE, "western.csv", table(EUROPEAN).encode("cp1252"), stops("--encoding", "western.csv")),
    Input(
        "--encoding cp1252", ISSUE, "western.csv", table(EUROPEAN).encode("cp1252"), scored(EUROPEAN),
        ("--encoding", "cp1252"),
    ),
    Input(
        "--encoding latin-1", ISSUE, "latin.tsv", table(EUROPEAN, "text\tlabel", "\t").encode("latin-1"),
        scored(EUROPEAN), ("--encoding", "latin-1"),
    ),
    Input(
        "cp1252's apostrophe", "kouhan.cn: byte 0x92", "korea.csv", table(SMART).encode("cp1252"),
        stops("--encoding", "korea.csv"),
    ),
    Input(
        "the same with --encoding", "kouhan.cn: byte 0x92", "korea.csv", table(SMART).encode("cp1252"), scored(SMART),
        ("--encoding", "windows-1252"),
    ),
    Input("GB18030", ISSUE, "chinese.csv", table(CHINESE).encode("gb18030"), stops("--encoding", "chinese.csv")),
    Input(
        "--encoding gb18030", ISSUE, "chinese.csv", table(CHINESE).encode("gb18030"), scored(CHINESE),
        ("--encoding", "gb18030"),
    ),
    Input("Shift JIS", OWN, "japanese.csv", table(JAPANESE).encode("shift_jis"), stops("--encoding", "japanese.csv")),
    Input(
        "--encoding shift_jis, whose letters hold backslashes and pipes", OWN, "japanese.csv",
        table((*JAPANESE, ("表の予想|能力", "World"))).encode("shift_jis"),
        scored((*JAPANESE, ("表の予想|能力", "World"))), ("--encoding", "shift_jis"),
    ),
    Input("cp1251", OWN, "russian.csv", table(RUSSIAN).encode("cp1251"), stops("--encoding", "russian.csv")),
    Input(
        "--encoding koi8-r", OWN, "russian.csv", table(RUSSIAN).encode("koi8-r"), scored(RUSSIAN),
        ("--encoding", "koi8-r"),
    ),
    Input(
        "ISO 8859-2 in JSON lines", OWN, "polish.jsonl", json_lines(records(POLISH)).encode("iso8859-2"),
        stops("--encoding", "polish.jsonl"),
    ),
    Input(
        "--encoding iso8859-2 in JSON lines", OWN, "polish.jsonl", json_lines(records(POLISH)).encode("iso8859-2"),
        scored(POLISH), ("--encoding", "iso8859-2"),
    ),
    Input(
        "UTF-16 with tabs, as Excel's Unicode text", ISSUE, "excel.csv",
        b"\xff\xfe" + table(header="text\tlabel", by="\t", end="\r\n").encode("utf-16-le"), scored(),
    ),
    Input("big-endian UTF-16", ISSUE, "big.csv", b"\xfe\xff" + table().encode("utf-16-be"), scored()),
    Input(
        "UTF-16 without a byte-order mark", OWN, "bare.csv", table().encode("utf-16-le"),
        either(NEWS, "--encoding", "bare.csv"),
    ),
    Input("--encoding utf-16-le", OWN, "bare.csv", table().encode("utf-16-le"), scored(), ("--encoding", "utf-16-le")),
    Input(
        "UTF-16 in JSON lines", OWN, "wide.jsonl", json_lines(records()).encode("utf-16"), either(NEWS, "wide.jsonl"),
    ),
    Input(
        "UTF-16 in a JSON array", OWN, "wide.json", json.dumps(records()).encode("utf-16"), either(NEWS, "wide.json"),
    ),
    Input("a byte-order mark in JSON lines", OWN, "bom.jsonl", "\ufeff" + json_lines(records()), scored()),
    Input("a byte-order mark before a JSON array", OWN, "bom.json", "\ufeff" + json.dumps(records()), scored()),
    Input(
        "one bad byte", ISSUE, "bad.csv", BAD, scored([row(None, None, "invalid_text") if "São" in text else row(text,
        label) for text, label in NEWS]),
    ),
    Input(
        "one bad byte, with --on-error fail", ISSUE, "bad.csv", BAD, stops("bad.csv", "--on-error"),
        ("--on-error", "fail"),
    ),
    Input(
        "one bad byte in JSON lines", ISSUE, "bad.jsonl", json_lines(records()).encode().replace("São".encode(),
        "São".encode("latin-1")), scored([row(None, None, "invalid_text") if "São" in text else row(text, label)
        for text, label in NEWS]),
    ),
    Input(
        "an encoding that does not exist", OWN, "news.csv", table(), stops("--encoding", "utf-9"),
        ("--encoding", "utf-9"),
    ),
    Input(
        "the wrong encoding by option", OWN, "news.csv", table(),
        either([row(text, label, None if text.isascii() else "invalid_text") for text, label in NEWS], "news.csv",
        "--encoding"), ("--encoding", "ascii"),
    ),
]  # fmt: skip
