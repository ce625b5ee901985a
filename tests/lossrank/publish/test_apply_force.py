"""apply --force: it replaces what apply wrote and nothing else, and keeps what people wrote into the card."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import DatasetCard

from lossrank.publish.card_merge import END, MARK
from scorer import ModelBundle, ScoreOptions, score_dataset
from tests.support.commands import Lossrank, error_line
from tests.support.facts import tells
from tests.support.publishing import decide, with_features
from tests.support.tiny import CLASSES

DATA = "data/train-00000-of-00001.parquet"


@pytest.fixture
def scored(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> Path:
    pq.write_table(with_features(rows, label=CLASSES), tmp_path / "news.parquet")
    score_dataset(tiny_bundle, tmp_path / "news.parquet", tmp_path / "run", ScoreOptions(threads=1))
    decide(tmp_path / "run", {3: "World"})
    return tmp_path / "run"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_what_is_there_is_replaced_only_when_that_is_asked_and_only_if_apply_wrote_it(
    lossrank: Lossrank, scored: Path, tmp_path: Path
) -> None:
    out, theirs = tmp_path / "out", tmp_path / "theirs"
    lossrank("apply", scored, "-o", out)
    (out / DATA).write_text("old")
    (out / ".DS_Store").write_text("")
    said = error_line(lossrank("apply", scored, "-o", out))
    assert tells(said, out, "exists", "--force")
    assert lossrank("apply", scored, "-o", out, "--force").exit_code == 0
    assert set(contents(out)) == {"README.md", DATA}
    assert len(pq.read_table(out / DATA)) == 1000
    theirs.mkdir()
    (theirs / "README.md").write_text("mine")
    said = error_line(lossrank("apply", scored, "-o", theirs, "--force"))
    assert tells(said, theirs, "lossrank apply")
    assert set(contents(theirs)) == {"README.md"}
    (tmp_path / "a.parquet").write_text("old")
    assert tells(error_line(lossrank("apply", scored, "-o", tmp_path / "a.parquet")), "exists", "--force")
    assert lossrank("apply", scored, "-o", tmp_path / "a.parquet", "--force").exit_code == 0
    assert len(pq.read_table(tmp_path / "a.parquet")) == 1000
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")) == []


@pytest.mark.parametrize(
    ("added", "named"),
    [
        (["notes.txt"], "notes.txt"),
        ([".git/HEAD", "notes.txt", "data/notes.txt"], ".git"),
        (["data/dev-00000-of-00001.parquet"], "data/dev-00000-of-00001.parquet"),
        (["data/old/train-00000-of-00001.parquet"], "data/old"),
    ],
)
def test_a_folder_that_holds_something_else_as_well_is_not_replaced(
    lossrank: Lossrank, scored: Path, tmp_path: Path, added: list[str], named: str
) -> None:
    out = tmp_path / "out"
    lossrank("apply", scored, "-o", out)
    for name in added:
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("mine")
    before = contents(out)
    assert tells(error_line(lossrank("apply", scored, "-o", out, "--force")), out, named, "train")
    assert contents(out) == before


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_card_keeps_what_people_wrote_into_it_and_tells_of_the_new_data(
    lossrank: Lossrank, scored: Path, tmp_path: Path
) -> None:
    card = tmp_path / "out" / "README.md"
    lossrank("apply", scored, "-o", tmp_path / "out", "--format", "save_to_disk")
    head, mark, part = card.read_text().partition(MARK)
    head = head.replace("---\n", "---\nlicense: mit\n", 1)
    card.write_text(f"{head}Please cite us.\n\n{mark}{part}\n## Contact\n")
    decide(scored, {4: "World"})
    assert lossrank("apply", scored, "-o", tmp_path / "out", "--force").exit_code == 0
    made = DatasetCard(card.read_text())
    assert made.data.license == "mit"
    assert made.data.configs[0]["data_files"] == [{"split": "train", "path": "data/train-*"}]
    words, mark, part = made.text.partition(MARK)
    part, end, more = part.partition(END)
    assert (words.strip(), mark, end, more.strip()) == ("Please cite us.", MARK, END, "## Contact")
    assert "**998 rows were not looked at.**" in part
    assert lossrank("apply", scored, "-o", tmp_path / "out", "--force", "--format", "save_to_disk").exit_code == 0
    made = DatasetCard(card.read_text())
    assert (made.data.license, made.data.get("configs"), made.text.count(MARK)) == ("mit", None, 1)


def test_a_card_whose_head_can_not_be_read_is_said_before_anything_is_written(
    lossrank: Lossrank, scored: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    lossrank("apply", scored, "-o", out)
    (out / "README.md").write_text(f"---\ntags: [news\n---\n{MARK}\n{END}\n")
    (tmp_path / "news.parquet").unlink()  # it would be the first that is missed
    before = contents(out)
    said = error_line(lossrank("apply", scored, "-o", out, "--force"))
    assert tells(said, out / "README.md")
    assert contents(out) == before


def test_a_link_and_a_place_without_a_name_are_refused_and_nothing_is_written(
    lossrank: Lossrank, scored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("out", "out.parquet"):
        lossrank("apply", scored, "-o", tmp_path / name)
        link = tmp_path / f"link-{name}"
        link.symlink_to(tmp_path / name)
        said = error_line(lossrank("apply", scored, "-o", link, "--force"))
        assert tells(said, f"{link} is a link to {tmp_path / name}", "`-o`")
        assert link.is_symlink()
    (tmp_path / "empty" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "empty" / "below")
    for place in (".", ".."):
        said = error_line(lossrank("apply", scored, "-o", place, "--force"))
        assert tells(said, "`-o`", f" {place} ", "name")
    assert list((tmp_path / "empty").rglob("*")) == [tmp_path / "empty" / "below"]


def test_a_place_that_is_said_through_itself_is_replaced(lossrank: Lossrank, scored: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    lossrank("apply", scored, "-o", out)
    before = contents(out)
    result = lossrank("apply", scored, "-o", out / "data" / ".." / ".." / "out", "--force")
    assert (result.exit_code, contents(out)[DATA], set(contents(out))) == (0, before[DATA], set(before))
    assert [place.name for place in tmp_path.iterdir() if "out" in place.name] == ["out"]
