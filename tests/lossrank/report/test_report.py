"""`lossrank report`: the same numbers as `rank` and the summary, texts that stay texts, and nothing from elsewhere."""

import html
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result

from benchmarks.synthetic.make_run import make_run
from lossrank.report.wording import status
from lossrank.review.store import DecisionStore
from scorer import ModelBundle, RunDirectory, ScoreOptions, score_dataset
from scorer.audit.gates import STATUSES
from scorer.text import escape
from tests.conftest import read_only
from tests.support.tiny import CLASSES, make_bundle, make_texts

Lossrank = Callable[..., Result]
EVIL = "<script>alert(1)</script>"
HOSTILE = (
    f'w1 w2 {EVIL} </title></style></td>"><img src=https://evil.example/x onerror=alert(1)> &lt; '
    "\u2028 ${x} {{ 7 * 7 }} | `code` [a](https://evil.example)"
)


class Page(HTMLParser):
    """A page's tags, its attributes that can name an address, and its text by the tag it is in."""

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


@pytest.fixture
def own(run: Path) -> Path:
    """The scored run without decisions."""
    for file in run.glob("review.sqlite*"):
        file.unlink()
    return run


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose texts, class names, column names, ids and file name are all markup."""
    folder = tmp_path_factory.mktemp("hostile")
    bundle = make_bundle(folder / "bundle", (EVIL, "</script>", "a|b", '"quoted" & more'))
    rows = {f"{EVIL}text": [HOSTILE] * 40, "label": [EVIL, "a|b"] * 20, "id": [f"<b>{i}</b>" for i in range(40)]}
    file = folder / "<i>data.parquet"
    pq.write_table(pa.table(rows), file)
    options = ScoreOptions(text_column=f"{EVIL}text", id_column="id", threads=1)
    score_dataset(bundle, file, folder / "run", options)
    return folder / "run"


def read_json(lossrank: Lossrank, *arguments: object) -> dict[str, Any]:
    result = lossrank("report", *arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_worst_rows_are_ranks_with_its_options(own: Path, lossrank: Lossrank) -> None:
    pair = ["--pair", "World:Sports", "--top", 100]
    for options in (["--top", 7], ["--per-class", 3], pair, ["--by", "margin", "--top", 5]):
        ranked = json.loads(lossrank("rank", own, *options, "--json").stdout)
        rows = read_json(lossrank, own, *options)["worst"]["rows"]
        assert rows
        assert [{key: value for key, value in row.items() if key != "decision"} for row in rows] == ranked["rows"]


def test_the_headline_numbers_are_the_summarys_in_every_format(own: Path, lossrank: Lossrank, tmp_path: Path) -> None:
    summary = json.loads((own / "run.json").read_text())["summary"]
    document = read_json(lossrank, own)
    for name in ("rows", "by_status", "by_precision", "truncated", "mean_loss", "accuracy"):
        assert document[name] == summary[name], name
    assert lossrank("report", own, "-o", tmp_path / "report.html").exit_code == 0
    page, text = (tmp_path / "report.html").read_text(), lossrank("report", own, "--format", "md").stdout
    business = document["classes"][2]
    numbers = [
        f"{summary['mean_loss']:.4f}",
        f"{summary['accuracy']:.2%}",
        f"{document['disagreeing']:,}",
        f"{business['mean_loss']:.3f}",
        f"{document['worst']['rows'][0]['loss']:.3f}",
        document["how"]["data_fingerprint"],
        document["how"]["bundle_sha256"],
        *(f"{rows:,}" for row in document["confusion"] for rows in row),
    ]
    for number in numbers:
        assert number in page, number
        assert number in text, number
    assert sum(map(sum, document["confusion"])) == document["scored"] == summary["by_status"]["ok"]
    assert sum(document["histogram"]["agree"]) + sum(document["histogram"]["disagree"]) == document["scored"]
    assert len(document["worst"]["rows"]) == 100


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
    document = read_json(lossrank, hostile)
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
    assert "secretlabel" in json.dumps(RunDirectory.open(run).manifest["summary"])


def test_no_texts_leaves_out_the_columns_of_a_csv_without_a_header(
    tiny_bundle: ModelBundle, tmp_path: Path, lossrank: Lossrank
) -> None:
    first = ["w1 secret", "w2 secret", "secretlabel", "secretkey"]
    lines = [first, *([text, text, CLASSES[i % 4], f"k{i}"] for i, text in enumerate(make_texts(40)))]
    (tmp_path / "news.csv").write_text("".join(",".join(line) + "\n" for line in lines))
    columns = dict(zip(("text_column", "text_pair_column", "label_column", "id_column"), first, strict=True))
    run = tmp_path / "run"
    score_dataset(tiny_bundle, tmp_path / "news.csv", run, ScoreOptions(**columns, threads=1))
    assert read_json(lossrank, run)["worst"]["text_columns"] == first[:2]
    for form in ("html", "md", "json"):
        assert lossrank("report", run, "-o", tmp_path / f"report.{form}", "--no-texts").exit_code == 0
        content = (tmp_path / f"report.{form}").read_text()
        assert "secret" not in content
        assert "(its name is left out)" in content
    assert json.loads(content)["worst"]["text_columns"] == []


def test_no_machine_and_no_place_is_in_a_report(own: Path, data: Path, lossrank: Lossrank) -> None:
    text = json.dumps(read_json(lossrank, own, "--top", 1))
    host = RunDirectory.open(own).manifest["history"][0]["host"]
    assert str(data.parent) not in text
    assert str(own.parent) not in text
    assert f'"{host}"' not in text


@pytest.mark.parametrize(
    ("why", "shown"),
    [
        ("SourceError: /home/ann/data/b.csv was added to the data", "SourceError"),
        ("OSError: [Errno 28] No space left: '/home/ann/run'", "OSError"),
        ("/home/ann/data was there: an older lossrank's words", "error"),
        (None, "unknown"),
        ("interrupted", "interrupted"),
    ],
)
def test_of_a_process_that_failed_only_the_errors_kind_is_in_a_report(
    tmp_path: Path, lossrank: Lossrank, why: str | None, shown: str
) -> None:
    run = make_run(tmp_path / "run", 100, 100)
    done = {"started": "2026-01-01T00:00:00+00:00", "updated": "2026-01-01T00:00:00+00:00", "rows": 50, "seconds": 1.0}
    run.manifest["history"] = [done | {"ended": done["updated"], "why": why, "pid": 1, "host": "h"}]
    run.save()
    for form in ("html", "md", "json"):
        assert lossrank("report", run.path, "--no-texts", "-o", tmp_path / f"report.{form}").exit_code == 0
        content = (tmp_path / f"report.{form}").read_text()
        assert "/home" not in content
        assert (f'"why": "{shown}"' if form == "json" else f"50 rows in 1.0 s, {shown}") in content


def test_decisions_are_counted_and_shown_with_their_rows(own: Path, lossrank: Lossrank, tmp_path: Path) -> None:
    opened = RunDirectory.open(own)
    assert read_json(lossrank, own, "--top", 3)["review"] is None
    worst = [row["row"] for row in read_json(lossrank, own, "--top", 3)["worst"]["rows"]]
    DecisionStore(opened).close()  # as `log` leaves it
    assert read_json(lossrank, own, "--top", 3)["review"] is None
    assert "## Review" not in lossrank("report", own, "--top", 3, "--format", "md").stdout
    with DecisionStore(opened) as store:
        store.decide(worst[0], "relabelled", "Sports", annotator="ann")
        store.decide(worst[1], "kept", annotator="ann")
        store.decide(worst[1], "discarded", annotator="bob")
    document = read_json(lossrank, own, "--top", 3)
    counts = {name: document["review"][name] for name in ("kept", "relabelled", "discarded", "unreviewed")}
    assert counts == {"kept": 0, "relabelled": 1, "discarded": 1, "unreviewed": 998}
    assert [row["decision"] for row in document["worst"]["rows"]] == [
        {"verdict": "relabelled", "label": "Sports"},
        {"verdict": "discarded", "label": None},
        None,
    ]
    assert "relabelled: Sports" in lossrank("report", own, "--top", 3, "--format", "md").stdout
    assert lossrank("report", own, "-o", tmp_path / "report.html").exit_code == 0
    assert "relabelled: Sports" in (tmp_path / "report.html").read_text()


def test_without_labels_there_is_a_line_why_and_entropy(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path, lossrank: Lossrank
) -> None:
    run = tmp_path / "run"
    pq.write_table(rows.select(["text"]), tmp_path / "news.parquet")
    score_dataset(tiny_bundle, tmp_path / "news.parquet", run, ScoreOptions(threads=1))
    document = read_json(lossrank, run)
    assert document["no_labels"].startswith("No row has a label")
    assert [document[name] for name in ("confusion", "classes", "pairs", "histogram", "mean_loss")] == [None] * 5
    assert document["worst"]["by"] == "entropy"
    assert lossrank("report", run, "-o", tmp_path / "report.html").exit_code == 0
    page = (tmp_path / "report.html").read_text()
    assert document["no_labels"] in page
    assert "<svg" not in page
    assert document["no_labels"] in lossrank("report", run, "--format", "md").stdout
    asked = lossrank("report", run, "-o", tmp_path / "other.html", "--by", "loss")
    assert asked.exit_code == 1
    assert "has no row with a loss" in asked.stderr
    assert not (tmp_path / "other.html").exists()


def test_without_predictions_there_is_still_a_report(
    tiny_bundle: ModelBundle, tmp_path: Path, lossrank: Lossrank
) -> None:
    pq.write_table(pa.table({"text": ["", "  "], "label": ["World", "Sports"]}), tmp_path / "news.parquet")
    score_dataset(tiny_bundle, tmp_path / "news.parquet", tmp_path / "run", ScoreOptions(threads=1))
    assert read_json(lossrank, tmp_path / "run")["worst"]["rows"] == []
    for form in ("html", "md"):
        result = lossrank("report", tmp_path / "run", "-o", tmp_path / f"report.{form}")
        assert result.exit_code == 0, result.output
        assert "No row has a prediction." in (tmp_path / f"report.{form}").read_text()


def test_where_no_row_matches_it_says_what_was_asked_for(
    tiny_bundle: ModelBundle, tmp_path: Path, lossrank: Lossrank
) -> None:
    pq.write_table(pa.table({"text": make_texts(20), "label": ["World"] * 20}), tmp_path / "news.parquet")
    score_dataset(tiny_bundle, tmp_path / "news.parquet", tmp_path / "run", ScoreOptions(threads=1))
    said = "By loss, the highest first; only Sports:Business (given:predicted): no row matches."
    for form in ("html", "md"):
        result = lossrank("report", tmp_path / "run", "--pair", "Sports:Business", "-o", tmp_path / f"report.{form}")
        assert result.exit_code == 0, result.output
        content = (tmp_path / f"report.{form}").read_text()
        assert said in content
        assert "No row has a prediction" not in content


def test_numbers_in_int8_are_said_to_be(tmp_path: Path, lossrank: Lossrank) -> None:
    run = make_run(tmp_path / "run", 1000, 1000)
    run.manifest["options"] |= {"precision": "screen", "screen_top": 10}
    run.manifest["screen"] = {"rescored": 200, "top_k": 10, "estimated_recall": 0.987}
    run.manifest["summary"]["screen"] = run.manifest["screen"]
    run.save()
    table = pq.read_table(run.shard_file(0))
    mixed = pa.array(["fp32"] * 200 + ["int8"] * 800)
    run.write_shard(0, table.set_column(table.schema.get_field_index("precision"), "precision", mixed), run.notes(0))
    document = read_json(lossrank, run.path, "--no-texts")
    assert document["int8_note"] == (
        "800 of the 1,000 rows with predictions have int8 numbers: losses, classes and confusions rest on them."
    )
    ranked = lossrank("report", run.path, "--no-texts", "-o", tmp_path / "report.html")
    note = document["worst"]["precision_note"]
    assert note in ranked.stderr
    assert re.fullmatch(r"\d+ of these 100 rows have int8 numbers: this screen has the 10 worst .*", note)
    page = (tmp_path / "report.html").read_text()
    assert document["int8_note"] in page
    assert "200 rows were scored again in fp32; of the worst 10 an estimated 98.7% are fp32&#39;s" in page
    assert note in html.unescape(page)


def test_every_status_has_its_words() -> None:
    assert all(map(status, STATUSES))


@pytest.mark.parametrize("enormous", [70.0, float("inf")])
def test_losses_beyond_any_scale_are_reported(tmp_path: Path, lossrank: Lossrank, enormous: float) -> None:
    run = make_run(tmp_path / "run", 100, 100)
    table = pq.read_table(run.shard_file(0))
    column = pa.array([enormous] * 100, pa.float32())
    run.write_shard(0, table.set_column(table.schema.get_field_index("loss"), "loss", column), run.notes(0))
    document = read_json(lossrank, run.path, "--no-texts")
    assert document["histogram"]["edges"][-1] is None
    for form, said in (("html", "nats and more: "), ("md", " and more | ")):
        assert lossrank("report", run.path, "--no-texts", "-o", tmp_path / f"report.{form}").exit_code == 0
        assert said in (tmp_path / f"report.{form}").read_text()


def test_of_many_classes_the_page_shows_the_most_confused(tmp_path: Path, lossrank: Lossrank) -> None:
    names = tuple(f"class {i:03d} with a long name" for i in range(150))
    bundle = make_bundle(tmp_path / "bundle", names)
    texts = make_texts(600)
    labels = [names[i * 7 % 150] for i in range(600)]
    pq.write_table(pa.table({"text": texts, "label": labels}), tmp_path / "news.parquet")
    score_dataset(bundle, tmp_path / "news.parquet", tmp_path / "run", ScoreOptions(threads=1))
    document = read_json(lossrank, tmp_path / "run")
    assert len(document["confusion"]) == len(document["classes"]) == 150
    assert len(document["most_confused"]) == 20
    assert lossrank("report", tmp_path / "run", "-o", tmp_path / "report.html").exit_code == 0
    page = (tmp_path / "report.html").read_text()
    assert "The 20 classes with the most rows off the diagonal, of 150" in page
    assert page.count('aria-roledescription="rect mark"') == 400
    assert len(page) < 1_000_000


def test_a_very_long_text_is_cut_on_the_page_and_whole_in_json(
    tiny_bundle: ModelBundle, tmp_path: Path, lossrank: Lossrank
) -> None:
    long = "w1 " * 10_000
    pq.write_table(pa.table({"text": [long, "w2"], "label": ["World", "Sports"]}), tmp_path / "news.parquet")
    score_dataset(tiny_bundle, tmp_path / "news.parquet", tmp_path / "run", ScoreOptions(threads=1))
    assert lossrank("report", tmp_path / "run", "-o", tmp_path / "report.html").exit_code == 0
    assert "… (25,000 characters more)" in (tmp_path / "report.html").read_text()
    texts = [row["source"]["text"] for row in read_json(lossrank, tmp_path / "run")["worst"]["rows"]]
    assert long in texts


@pytest.mark.parametrize(
    ("name", "form", "begins"),
    [
        ("a.html", None, "<!doctype html>"),
        ("a.HTM", None, "<!doctype html>"),
        ("a.md", None, "# Label report"),
        ("a.json", None, "{"),
        ("a.txt", "md", "# Label report"),
    ],
)
def test_the_format_is_asked_for_or_the_names_ending(
    own: Path, lossrank: Lossrank, tmp_path: Path, name: str, form: str | None, begins: str
) -> None:
    result = lossrank("report", own, "-o", tmp_path / name, *(["--format", form] if form else []))
    assert result.exit_code == 0, result.output
    assert (tmp_path / name).read_text().startswith(begins)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "an HTML report goes to a file: give -o report.html"),
        (["--format", "html"], 2, "an HTML report goes to a file: give -o report.html"),
        (["-o", "report.pdf"], 2, "report.pdf must end in .html, .htm, .md, .markdown, .json, or say --format"),
        (["--format", "md", "--json"], 2, "--json prints a summary where the report would go"),
        (["-o", "there.html"], 1, "there.html exists; choose another name, or replace it with --force"),
        (["-o", "nowhere/report.html"], 1, "nowhere is not a folder"),
        (["-o", "new.html", "--pair", "World:Sport"], 1, "no class 'Sport' (did you mean 'Sports'?)"),
        (["-o", "new.html", "--top", "5", "--per-class", "5"], 1, "give one of them"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    own: Path,
    lossrank: Lossrank,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.html").write_text("mine")
    result = lossrank("report", own, *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr.splitlines()[-1]
    assert [file.name for file in tmp_path.iterdir()] == ["there.html"]
    assert Path("there.html").read_text() == "mine"


def test_force_replaces_a_file(own: Path, lossrank: Lossrank, tmp_path: Path) -> None:
    (tmp_path / "report.md").write_text("old")
    assert lossrank("report", own, "-o", tmp_path / "report.md", "--force").exit_code == 0
    assert (tmp_path / "report.md").read_text().startswith("# Label report")


def test_a_place_that_cannot_be_written_is_one_line(own: Path, lossrank: Lossrank, tmp_path: Path) -> None:
    result = lossrank("report", own, "-o", read_only(tmp_path) / "report.md")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


def test_json_prints_a_summary_of_what_was_written(own: Path, lossrank: Lossrank, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    said = json.loads(lossrank("report", own, "-o", file, "--top", 5, "--json").stdout)
    summary = RunDirectory.open(own).manifest["summary"]
    assert said == {
        "run": str(own),
        "output": str(file),
        "format": "html",
        "bytes": file.stat().st_size,
        "rows": 1000,
        "mean_loss": summary["mean_loss"],
        "accuracy": summary["accuracy"],
        "by": "loss",
        "count": 5,
    }


@pytest.mark.parametrize("place", ["run.json", "scores/part-00000.parquet", "review.sqlite"])
def test_no_file_of_a_run_is_replaced_whatever_is_forced(tmp_path: Path, lossrank: Lossrank, place: str) -> None:
    run = make_run(tmp_path / "run", 100, 100)
    (run.path / "review.sqlite").touch()
    before = (run.path / place).read_bytes()
    for command in (["report", run.path, "--format", "md"], ["rank", run.path], ["log", run.path, "--to", "csv"]):
        result = lossrank(*command, "-o", run.path / place, "--force")
        assert result.exit_code == 1
    assert (run.path / place).read_bytes() == before
    assert (
        "is part of a run, which --force does not replace"
        in lossrank("report", run.path, "--format", "md", "-o", run.path / place, "--force").stderr
    )
