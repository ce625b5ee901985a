"""What apply writes: a file or the hub's folder, whole or not at all, and never over something of somebody's."""

import gc
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click.testing
import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import DatasetCard

from lossrank.publish.corrected import CorrectedRows, corrected_rows
from lossrank.publish.write import write_folder
from lossrank.review.decided_rows import decided_rows
from lossrank.review.decision import DISCARDED, KEPT
from scorer import ModelBundle, RunDirectory, ScoreOptions, open_source, score_dataset
from tests.cli.test_cli import error_line
from tests.conftest import read_only
from tests.support import ROOT
from tests.support.publishing import decide, with_features
from tests.support.tiny import CLASSES

Lossrank = Callable[..., click.testing.Result]


@pytest.fixture
def scored(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> Path:
    """A run over rows with class names, three of them decided of."""
    (tmp_path / "in").mkdir()
    pq.write_table(with_features(rows, label=CLASSES), tmp_path / "in" / "news.parquet")
    score_dataset(tiny_bundle, tmp_path / "in" / "news.parquet", tmp_path / "run", ScoreOptions(threads=1))
    decide(tmp_path / "run", {3: "World", 4: KEPT, 5: DISCARDED})
    return tmp_path / "run"


def files(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def rows_of(run: Path) -> CorrectedRows:
    opened = RunDirectory.open(run)
    return corrected_rows(opened, open_source(opened.manifest["data"]["spec"]["data"]), decided_rows(opened))


def test_a_folder_is_laid_out_as_the_hub_has_it_and_datasets_reads_it(
    lossrank: Lossrank, scored: Path, rows: pa.Table, tmp_path: Path
) -> None:
    assert lossrank("apply", scored, "-o", tmp_path / "out").exit_code == 0
    assert files(tmp_path / "out") == ["README.md", "data/train-00000-of-00001.parquet"]
    loaded = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded["text"][:] == rows["text"].to_pylist()
    assert loaded.features["label"].names == list(CLASSES)
    assert loaded[3]["label"] == 0
    assert loaded[3]["original_label"] == rows["label"][3].as_py()


def test_datasets_reads_what_is_in_a_folder_now_not_what_it_has_cached_of_its_name(
    lossrank: Lossrank, scored: Path, tmp_path: Path
) -> None:
    def statuses(out: Path) -> dict[int, str]:
        loaded = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path / "cache"))
        return {i: status for i, status in enumerate(loaded["label_status"][:10]) if status != "unreviewed"}

    first = tmp_path / "first" / "corrected"
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    assert lossrank("apply", scored, "-o", first).exit_code == 0
    assert statuses(first) == {3: "relabelled", 4: "kept", 5: "discarded"}
    decide(scored, {4: DISCARDED, 6: KEPT})
    assert lossrank("apply", scored, "-o", first, "--force").exit_code == 0
    assert statuses(first) == {3: "relabelled", 4: "discarded", 5: "discarded", 6: "kept"}
    decide(scored, {7: KEPT})
    assert lossrank("apply", scored, "-o", tmp_path / "second" / "corrected").exit_code == 0
    assert statuses(tmp_path / "second" / "corrected")[7] == "kept"


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_save_to_disk_is_what_datasets_loads_from_disk_and_lossrank_scores_again(
    lossrank: Lossrank, tiny_bundle: ModelBundle, scored: Path, rows: pa.Table, tmp_path: Path
) -> None:
    result = lossrank("apply", scored, "-o", tmp_path / "out", "--format", "save_to_disk")
    assert result.exit_code == 0, result.output
    loaded = datasets.load_from_disk(str(tmp_path / "out"))
    assert loaded["text"][:] == rows["text"].to_pylist()
    assert loaded.features["label"].names == list(CLASSES)
    assert (str(loaded.split), loaded[3]["label"], loaded[5]["label_status"]) == ("train", 0, "discarded")
    assert "3 of them" in (tmp_path / "out" / "README.md").read_text()
    assert files(tmp_path / "out") == ["README.md", "data-00000-of-00001.arrow", "dataset_info.json", "state.json"]
    score_dataset(tiny_bundle, tmp_path / "out", tmp_path / "again", ScoreOptions(threads=1))


def test_a_large_data_set_is_cut_into_shards_that_are_named_by_their_number(scored: Path, tmp_path: Path) -> None:
    made = rows_of(scored)
    whole = pa.Table.from_batches(made.batches())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("lossrank.publish.write._GROUP_ROWS", 1)
        patched.setattr("scorer.data.formats._CHUNK", 100)
        write_folder(made, tmp_path / "out", "dev", "parquet", shard_bytes=20_000)
    names = files(tmp_path / "out")[1:]
    assert len(names) > 2
    assert names == [f"data/dev-{i:05d}-of-{len(names):05d}.parquet" for i in range(len(names))]
    assert pa.concat_tables([pq.read_table(tmp_path / "out" / name) for name in names]).equals(whole)
    assert all((tmp_path / "out" / name).stat().st_size < 40_000 for name in names)


def test_the_card_says_what_was_done_and_its_head_is_what_the_hub_reads(
    lossrank: Lossrank, scored: Path, tmp_path: Path
) -> None:
    lossrank("apply", scored, "-o", tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    run = RunDirectory.open(scored)
    for said in ("| `kept` | 1 |", "| `relabelled` | 1 |", "| `discarded` | 1 |", "| `unreviewed` | 997 |"):
        assert said in text
    given = CLASSES[int(pq.read_table(tmp_path / "in" / "news.parquet")["label"][3].as_py())]
    assert f"| {given} | World | 1 |" in text
    assert "**997 rows were not looked at.**" in text
    assert run.data_fingerprint in text
    assert run.model_name in text
    assert "lossrank 0." in text
    head = yaml.safe_load(text.split("---")[1])
    assert head["configs"] == [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*"}]}]
    card = DatasetCard(text)
    label = next(feature for feature in card.data.dataset_info["features"] if feature["name"] == "label")
    assert label["dtype"]["class_label"]["names"] == {str(i): name for i, name in enumerate(CLASSES)}
    assert card.data.size_categories == ["1K<n<10K"]
    loaded = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert [feature["name"] for feature in card.data.dataset_info["features"]] == loaded.column_names


def test_names_of_the_data_can_not_write_the_cards_markup(
    lossrank: Lossrank, tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path
) -> None:
    file = tmp_path / "<script>alert(1)</script>|x.parquet".replace("/", "")
    column = "_a_ *b* [c](https://d.example) | `e`"
    pq.write_table(rows.rename_columns({"label": column}), file)
    score_dataset(tiny_bundle, file, tmp_path / "run", ScoreOptions(threads=1, label_column=column))
    decide(tmp_path / "run", {3: "World"})
    lossrank("apply", tmp_path / "run", "-o", tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    assert "<script>" not in text
    assert r"# &lt;script&gt;alert(1)&lt;script&gt;\|x.parquet, labels corrected" in text
    assert r"| \_a\_ \*b\* \[c\](https:&#47;/d.example) \| \`e\` | the label, corrected" in text


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("out.csv", r"out\.csv must end in \.parquet, for one file, or be a folder"),
        ("nowhere/out", r"nowhere is not a folder; make it first"),
        ("in/news.parquet", r"is in the data that were scored|is where the data lie that were scored"),
        ("run/scores/part-00000.parquet", r"is among the scores of .*run; choose another place"),
        ("in", r"is no folder that `lossrank apply` wrote"),
        ("folder.parquet", r"folder\.parquet is a folder, and a name that ends in \.parquet is a file's"),
        ("file", r"file is a file; choose another place"),
    ],
)
def test_places_that_can_not_be_written_to_are_refused(
    lossrank: Lossrank, scored: Path, tmp_path: Path, name: str, says: str
) -> None:
    (tmp_path / "folder.parquet").mkdir()
    (tmp_path / "file").write_text("x")
    before = (tmp_path / "in" / "news.parquet").read_bytes()
    assert re.search(says, error_line(lossrank("apply", scored, "-o", tmp_path / name, "--force")))
    assert (tmp_path / "in" / "news.parquet").read_bytes() == before


@pytest.mark.parametrize("pattern", ["", "*.parquet"])
def test_nothing_is_written_among_the_data_where_the_next_run_would_read_it(
    lossrank: Lossrank, tiny_bundle: ModelBundle, scored: Path, tmp_path: Path, pattern: str
) -> None:
    run = tmp_path / "of-a-folder"
    score_dataset(tiny_bundle, str(tmp_path / "in" / pattern), run, ScoreOptions(threads=1))
    decide(run, {3: "World"})
    place = tmp_path / "in" / "corrected.parquet"
    for command in (["apply", run], ["rank", run], ["diff", run, scored], ["diff", scored, run]):
        said = error_line(lossrank(*command, "-o", place))
        assert (
            said
            == f"Error: {place} is in the data that were scored ({tmp_path / 'in' / pattern}); choose another place"
        )
    assert files(tmp_path / "in") == ["news.parquet"]


def test_a_place_that_can_not_be_written_is_one_line(lossrank: Lossrank, scored: Path, tmp_path: Path) -> None:
    for name in ("out", "out.parquet"):
        assert "can't be written" in error_line(lossrank("apply", scored, "-o", read_only(tmp_path) / name))


@pytest.mark.parametrize("name", ["out", "out.parquet"])
def test_a_full_disk_leaves_nothing_half_written_and_what_was_there(
    lossrank: Lossrank, scored: Path, small_disk: Path, name: str
) -> None:
    subprocess.run(["mount", "-o", "remount,size=16k", str(small_disk)], check=True)
    out = small_disk / name
    if name == "out":
        out.mkdir()
        (out / "README.md").write_text("<!-- written by lossrank apply -->")
    else:
        out.write_text("old")
    before = files(small_disk)
    said = error_line(lossrank("apply", scored, "-o", out, "--force"))
    assert said.startswith(f"Error: no space left on the disk of {out}; nothing half-written is left there")
    assert files(small_disk) == before


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_full_disk_while_datasets_saves_is_one_line_too(
    lossrank: Lossrank, scored: Path, small_disk: Path, rows: pa.Table
) -> None:
    subprocess.run(["mount", "-o", "remount,size=320k", str(small_disk)], check=True)
    said = error_line(lossrank("apply", scored, "-o", small_disk / "out", "--format", "save_to_disk"))
    assert said.startswith("Error: no space left on the disk of")
    assert files(small_disk) == []
    gc.collect()  # what the library still holds keeps the disk busy


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("name", ["out", "out.parquet"])
def test_a_killed_apply_leaves_no_half_output(scored: Path, tmp_path: Path, name: str, end: int) -> None:
    program = (
        "import sys, time\n"
        "from lossrank.publish.corrected import CorrectedRows\n"
        "batches = CorrectedRows.batches\n"
        "def slow(rows):\n"
        "    yield from list(batches(rows))\n"
        "    print('half', flush=True)\n"
        "    time.sleep(60)\n"
        "CorrectedRows.batches = slow\n"
        "from cli.entry import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, "apply", str(scored), "-o", str(tmp_path / name)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    assert process.stdout.readline() == b"half\n"
    assert any(entry.name.startswith(f".{name}.") for entry in tmp_path.iterdir())
    process.send_signal(end)
    process.stdout.close()
    assert process.wait() == (-end if end == signal.SIGKILL else 143)
    assert not (tmp_path / name).exists()
    if end == signal.SIGTERM:
        assert not [entry for entry in tmp_path.iterdir() if entry.name.startswith(".")]


def test_an_output_that_a_kill_left_aside_is_put_back_and_that_is_said(
    lossrank: Lossrank, scored: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    lossrank("apply", scored, "-o", out)
    before = {name: (out / name).read_bytes() for name in files(out)}
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from lossrank.publish.destination import folder_written\n"
        "rename = Path.rename\n"
        "def killing(path, target):\n"
        "    rename(path, target)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "Path.rename = killing\n"
        "with folder_written(Path(sys.argv[1])):\n"
        "    pass\n"
    )
    assert (
        subprocess.run([sys.executable, "-c", program, str(out)], cwd=ROOT, check=False).returncode == -signal.SIGKILL
    )
    assert not out.exists()
    (aside,) = tmp_path.glob(".out.*.old")
    (tmp_path / ".out.mine.old").mkdir()
    result = lossrank("apply", scored, "-o", out)
    assert result.stderr.splitlines() == [
        f"Note: {out} is back from {aside.name}, where an apply that was killed had left it.",
        f"Error: {out} exists; choose another place with -o, or replace it with --force",
    ]
    assert {name: (out / name).read_bytes() for name in files(out)} == before
    assert not aside.exists()
    assert "Note" not in lossrank("apply", scored, "-o", out, "--force").stderr


def test_what_is_called_old_is_whole_until_the_new_output_is_there(
    lossrank: Lossrank, scored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    lossrank("apply", scored, "-o", out)
    removed = []
    monkeypatch.setattr(
        "lossrank.publish.destination.shutil.rmtree", lambda path, **_: removed.append(Path(path).suffix)
    )
    assert lossrank("apply", scored, "-o", out, "--force").exit_code == 0
    assert removed
    assert set(removed) == {".tmp"}


def test_data_that_change_while_they_are_read_give_no_output(
    lossrank: Lossrank, scored: Path, rows: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, corrected = tmp_path / "in" / "news.parquet", CorrectedRows._corrected

    def replacing(made: CorrectedRows, batch: pa.RecordBatch, at: int) -> pa.RecordBatch:
        time.sleep(0.01)
        os.utime(data)
        return corrected(made, batch, at)

    monkeypatch.setattr(CorrectedRows, "_corrected", replacing)
    assert "has changed while it was being read" in error_line(lossrank("apply", scored, "-o", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_test_split_is_corrected_only_when_that_is_asked(
    lossrank: Lossrank, tiny_bundle: ModelBundle, scored: Path, rows: pa.Table, tmp_path: Path
) -> None:
    (tmp_path / "in" / "news.parquet").rename(tmp_path / "ag_news_test.parquet")
    run = tmp_path / "of-the-test-split"
    score_dataset(tiny_bundle, tmp_path / "ag_news_test.parquet", run, ScoreOptions(threads=1))
    decide(run, {3: "World"})
    said = error_line(lossrank("apply", run, "-o", tmp_path / "out"))
    assert said.startswith("Error: ag_news_test.parquet is a test split: ")
    assert said.endswith("--allow-test-split")
    # The same rows by another name, found again where they lie now.
    said = error_line(lossrank("apply", scored, "-o", tmp_path / "out", "--data", tmp_path / "ag_news_test.parquet"))
    assert "ag_news_test.parquet is a test split" in said
    assert lossrank("apply", run, "-o", tmp_path / "out", "--allow-test-split").exit_code == 0
    assert files(tmp_path / "out") == ["README.md", "data/test-00000-of-00001.parquet"]


@pytest.mark.parametrize("data", ["reviews_test/2024/*.parquet", "reviews_test/2024/news.parquet"])
def test_what_was_typed_says_by_any_of_its_parts_that_it_means_a_test_split(
    lossrank: Lossrank,
    tiny_bundle: ModelBundle,
    scored: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    data: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("reviews_test").mkdir()
    (tmp_path / "in").rename("reviews_test/2024")
    score_dataset(tiny_bundle, data, tmp_path / "run-typed", ScoreOptions(threads=1))
    decide(tmp_path / "run-typed", {3: "World"})
    said = error_line(lossrank("apply", tmp_path / "run-typed", "-o", tmp_path / "out"))
    assert said.startswith("Error: reviews_test is a test split: ")
    said = error_line(lossrank("apply", scored, "-o", tmp_path / "out", "--data", data))
    assert said.startswith("Error: reviews_test is a test split: ")
