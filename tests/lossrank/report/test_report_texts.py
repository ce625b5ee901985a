"""A report escapes every text, and loads nothing from outside."""

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle, RunDirectory, ScoreOptions, score_dataset
from scorer.text import escape
from tests.support.commands import Lossrank, read_report
from tests.support.tiny import CLASSES, make_bundle, make_texts

EVIL = "<script>alert(1)</script>"

HOSTILE = (
    f'w1 w2 {EVIL} </title></style></td>"><img src=https://evil.example/x onerror=alert(1)> &lt; '
    "\u2028 ${x} {{ 7 * 7 }} | `code` [a](https://evil.example)"
)


class Page(HTMLParser):
    """A page's tags, the values of its attributes that can hold a URL, and its texts by the tag around them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.inside: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.inside.append(tag)
        named = ("src", "href", "srcset", "action", "data", "poster", "xlink:href", "background", "ping")
        self.addresses += [str(value) for name, value in attributes if name in named]
        self.handlers += [name for name, _ in attributes if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.inside[-1] if self.inside else "", []).append(data)

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop() != tag:
            pass


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose texts, class names, column names, ids and file name contain HTML."""
    folder = tmp_path_factory.mktemp("hostile")
    bundle = make_bundle(folder / "bundle", (EVIL, "</script>", "a|b", '"quoted" & more'))
    rows = {f"{EVIL}text": [HOSTILE] * 40, "label": [EVIL, "a|b"] * 20, "id": [f"<b>{i}</b>" for i in range(40)]}
    file = folder / "<i>data.parquet"
    pq.write_table(pa.table(rows), file)
    options = ScoreOptions(text_column=f"{EVIL}text", id_column="id", threads=1)
    score_dataset(bundle, file, folder / "run", options)
    return folder / "run"


def test_a_page_holds_everything_it_needs(own: Path, hostile: Path, lossrank: Lossrank, tmp_path: Path) -> None:
    for i, run in enumerate((own, hostile)):
        file = tmp_path / f"{i}.html"
        assert lossrank("report", run, "-o", file).exit_code == 0
        page = Page(file.read_text())
        assert all(address.startswith("#") for address in page.addresses), page.addresses
        assert not {"link", "img", "iframe", "object", "embed", "base", "form"} & set(page.tags)
        assert page.tags.count("script") == page.tags.count("style") == 1
        own_words = "".join(page.texts["script"] + page.texts["style"])
        assert not re.search(r"https?:|//\w|@import|url\(|fetch|XMLHttp|import\(", own_words)
        assert page.handlers == []
    clean = (tmp_path / "0.html").read_text()
    assert "http:" not in clean
    assert "https:" not in clean


def test_what_is_markup_in_the_data_is_text_on_the_page(hostile: Path, lossrank: Lossrank, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    assert lossrank("report", hostile, "-o", file).exit_code == 0
    page = file.read_text()
    assert HOSTILE in html.unescape(page)
    assert EVIL not in page
    assert page.count("</script>") == page.count("<script>") == 1
    texts = Page(page).texts
    assert sum(HOSTILE in text for text in texts["td"]) == 40
    assert any("<script>al" in text for text in texts["text"]), "a chart's axis shows the class name"
    assert "<i>data.parquet" in "".join(texts["h1"])
    assert EVIL not in "".join(texts["script"])


def test_what_is_markup_in_the_data_is_text_in_markdown(hostile: Path, lossrank: Lossrank) -> None:
    text = lossrank("report", hostile, "--format", "md", "--top", 3).stdout
    assert "<script" not in text
    assert "<img" not in text
    assert "https://" not in text
    rows = text[text.index("## The worst") :].splitlines()[6:9]
    assert len(rows) == 3
    cells = {len(re.findall(r"(?<!\\)\|", line)) for line in rows}
    assert cells == {8}, "a pipe in a text makes no column"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b *c* `d` [e](f) | <g> &amp;", r"a_b \*c\* \`d\` \[e\](f) \| &lt;g&gt; &amp;amp;"),
        ("two\nlines\x1b\u202e", "two lines"),
        ("https://a.example www.b.example", "https:&#47;/a.example www&#46;b.example"),
        ("__init__", r"\_\_init\_\_"),
    ],
)
def test_markdown_is_escaped(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_json_keeps_every_text_and_column_as_it_is(hostile: Path, lossrank: Lossrank) -> None:
    document = read_report(lossrank, hostile)
    assert document["worst"]["rows"][0]["source"][f"{EVIL}text"] == HOSTILE
    assert document["class_names"][0] == EVIL


def test_no_texts_leaves_out_what_is_of_the_data(tiny_bundle: ModelBundle, tmp_path: Path, lossrank: Lossrank) -> None:
    texts = [f"w{i} secret{i}" for i in range(50)]
    labels = [*[CLASSES[i % 4] for i in range(48)], "secretlabel", "World"]
    table = pa.table({"text": texts, "label": labels, "note": ["secretnote"] * 50, "key": [f"k{i}" for i in range(50)]})
    pq.write_table(table, tmp_path / "news.parquet")
    run = tmp_path / "run"
    score_dataset(tiny_bundle, tmp_path / "news.parquet", run, ScoreOptions(id_column="key", threads=1))
    (tmp_path / "news.parquet").unlink()
    for form in ("html", "md", "json"):
        file = tmp_path / f"report.{form}"
        result = lossrank("report", run, "-o", file, "--no-texts")
        assert result.exit_code == 0, result.output
        content = file.read_text()
        assert "secret" not in content
        assert "k0" in content
    assert "secretlabel" in json.dumps(RunDirectory.open(run).manifest.to_dict()["summary"])


def test_no_texts_leaves_out_the_columns_of_a_csv_without_a_header(
    tiny_bundle: ModelBundle, tmp_path: Path, lossrank: Lossrank
) -> None:
    first = ["w1 secret", "w2 secret", "secretlabel", "secretkey"]
    lines = [first, *([text, text, CLASSES[i % 4], f"k{i}"] for i, text in enumerate(make_texts(40)))]
    (tmp_path / "news.csv").write_text("".join(",".join(line) + "\n" for line in lines))
    columns = dict(zip(("text_column", "text_pair_column", "label_column", "id_column"), first, strict=True))
    run = tmp_path / "run"
    score_dataset(tiny_bundle, tmp_path / "news.csv", run, ScoreOptions(**columns, threads=1))
    assert read_report(lossrank, run)["worst"]["text_columns"] == first[:2]
    for form in ("html", "md", "json"):
        assert lossrank("report", run, "-o", tmp_path / f"report.{form}", "--no-texts").exit_code == 0
        content = (tmp_path / f"report.{form}").read_text()
        assert "secret" not in content
        assert "(its name is left out)" in content
    assert json.loads(content)["worst"]["text_columns"] == []
