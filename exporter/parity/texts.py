# ruff: noqa: RUF001, SIM905 - ambiguous characters are the point; words read better as a sentence
"""The fixed texts on which an export is compared with torch; they include the odd input of real data sets."""

from collections.abc import Sequence
from itertools import cycle, islice

Text = tuple[str, str | None]  # a text, or a pair of texts

_WORDS = (
    "The central bank raised its rate by a quarter point on Tuesday while shares in Tokyo fell , and the striker "
    "who had scored twice before the break was sent off ; researchers at the university say a new chip needs half "
    "the power of its rivals . U.S. troops left Najaf ( Reuters ) - oil rose to $ 49.40 a barrel ! Was it n't 3 - 0 ?"
).split()

_ODD = (
    "",
    " ",
    "\n\n\t ",
    "a",
    "Sports",
    "12345678901234567890",
    "3.14159 -2,718.28 1/2 50% $1,000,000 2024-02-29 12:34:56",
    "!!! ... ??? --- *** ((())) [[]] {{}} <<>>",
    "https://example.com/a/b?c=d&e=f#g and mail@example.org or \\\\server\\share and C:\\temp\\new.txt",
    '<p class="lead">Wall St. &amp; the &#36; fell <b>again</b>&nbsp;<br/></p>',
    "Line one\nline two\r\nline three\rline four\u2028line five\u0085line six",
    "tabs\tand\x0bvertical\x0cfeeds",
    "null \x00 bell \x07 escape \x1b[31m delete \x7f c1 \x9b",
    "zero\u200bwidth \u200d joiner \u2060 \ufeff soft\u00adhyphen no\u00a0break \u3000 wide",
    "replacement \ufffd private \ue000 unassigned \u0378 noncharacter \uffff \U0010ffff",
    "cafe\u0301 is café, nai\u0308ve is naïve, Z\u0351\u036b\u0343\u0363a\u0310l\u034ag\u0306o\u0302",
    "ﬁne ﬂow ½ ² ℃ № ＦＵＬＬ ｗｉｄｔｈ ㍿ Ⅷ",
    "Straße STRASSE İstanbul ısparta ΣΊΣΥΦΟΣ ǅ ŉ",
    "Žluťoučký kůň, pěkně! Łódź, Đà Nẵng, fjörð, œuvre, ñandú",
    "世界银行周二上调了利率。東京の株式市場は下落した。",
    "서울의 주식 시장은 화요일에 하락했다",
    "العربية نص من اليمين إلى اليسار، ١٢٣",
    "עברית מימין לשמאל \u202eabc\u202c סוף",
    "हिन्दी में समाचार और क्षेत्रीय खेल",
    "ข่าวกีฬาวันนี้ไม่มีช่องว่างระหว่างคำ",
    "Новости спорта и науки; ёлка, їжак",
    "Ειδήσεις από την Αθήνα",
    "👍 👩\u200d👩\u200d👧\u200d👦 🏳️\u200d🌈 🇯🇵 ☃ ✈️ 🤷🏽\u200d♀️",
    "𝕸𝖆𝖙𝖍 𝓼𝓬𝓻𝓲𝓹𝓽 𝟙𝟚𝟛 𐍈 𠜎 𠮷",
    "MiXeD cAsE wOrDs AND SHOUTING and iPhone eBay",
    "don't can't I'm we've O'Brien's rock'n'roll 'quoted' “curly” ‘single’ «guillemets»",
    "well-known state-of-the-art e-mail co-operate -- dash — em – en",
    "Pneumonoultramicroscopicsilicovolcanoconiosis antidisestablishmentarianism",
    "x" * 150,
    "ab" * 40 + " " + "漢" * 40,
    "   leading and trailing   and    inner     blanks   ",
    "##ing ▁under Ġbyte </w> ## @@ __label__",
    "def f(x): return x if x > 0 else -x  # code",
)
_LONGER = (180, 250, 350, 500, 700)  # words, where the limit is more than 1,024 tokens
_LENGTHS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 19, 22, 26, 30, 35, 40, 46, 53, 60, 70, 80, 95, 110, 130)


def parity_texts(max_tokens: int, special_tokens: Sequence[str] = ()) -> list[Text]:
    """Return at least 64 texts and 12 pairs of texts.

    Some texts are longer than ``max_tokens`` with any tokenizer. One is so long that scoring cuts it before it is
    tokenised. With a long limit some have hundreds of tokens. Each of the tokenizer's ``special_tokens`` occurs
    literally in one text.
    """
    lengths = _LENGTHS + (_LONGER if max_tokens > 1024 else ())
    running = [_sentence(3 * i, length) for i, length in enumerate(lengths)]
    at_the_limit = [_sentence(i, max_tokens - 4 + i) for i in range(3)]
    long = [
        _sentence(5, 2 * max_tokens),
        "界" * (2 * max_tokens),
        _sentence(11, 30 * max_tokens),  # more than 128 characters for each token of the limit
    ]
    special = [f"{token} begins, {token}{token} and ends {token}" for token in dict.fromkeys(special_tokens)]
    singles = [*_ODD, *running, *at_the_limit, *long, *special]
    short, medium = running[7], running[18]
    pairs = [
        ("", ""),
        (long[0], short),
        ("", short),
        (short, ""),
        ("a", "b"),
        (short, medium),
        (medium, short),
        (long[0], long[1]),
        (_ODD[19], _ODD[27]),
        (short, long[0]),
        (_ODD[15], _ODD[9]),
        (short, long[2]),
    ]
    return [*((text, None) for text in singles), *pairs]


def _sentence(start: int, words: int) -> str:
    return " ".join(islice(cycle(_WORDS), start % len(_WORDS), start % len(_WORDS) + words))
