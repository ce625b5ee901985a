"""What apply writes: a file or the hub's folder, with its card, and never over something of somebody's."""

from pathlib import Path

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
from tests.support.commands import Lossrank, error_line
from tests.support.facts import tells
from tests.support.publishing import decide, files
from tests.support.tiny import CLASSES


def rows_of(run: Path) -> CorrectedRows:
    opened = RunDirectory.open(run)
    return corrected_rows(opened, open_source(opened.manifest.data.spec.data), decided_rows(opened))


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
        patched.setattr("scorer.data.formats.binary.CHUNK", 100)
        write_folder(made, tmp_path / "out", "dev", "parquet", shard_bytes=20_000)
    names = files(tmp_path / "out")[1:]
    assert len(names) > 2
    assert names == [f"data/dev-{i:05d}-of-{len(names):05d}.parquet" for i in range(len(names))]
    assert pa.concat_tables([pq.read_table(tmp_path / "out" / name) for name in names]).equals(whole)
    sizes = [(tmp_path / "out" / name).stat().st_size for name in names]
    assert max(sizes) < 40_000
    assert min(sizes[:-1]) >= 20_000


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


def test_a_test_split_is_corrected_only_when_that_is_asked(
    lossrank: Lossrank, tiny_bundle: ModelBundle, scored: Path, rows: pa.Table, tmp_path: Path
) -> None:
    (tmp_path / "in" / "news.parquet").rename(tmp_path / "ag_news_test.parquet")
    run = tmp_path / "of-the-test-split"
    score_dataset(tiny_bundle, tmp_path / "ag_news_test.parquet", run, ScoreOptions(threads=1))
    decide(run, {3: "World"})
    said = error_line(lossrank("apply", run, "-o", tmp_path / "out"))
    assert tells(said, "ag_news_test.parquet", "--allow-test-split")
    # The same rows by another name, found again where they lie now.
    said = error_line(lossrank("apply", scored, "-o", tmp_path / "out", "--data", tmp_path / "ag_news_test.parquet"))
    assert tells(said, "ag_news_test.parquet", "--allow-test-split")
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
    assert tells(said, "reviews_test", "--allow-test-split")
    said = error_line(lossrank("apply", scored, "-o", tmp_path / "out", "--data", data))
    assert tells(said, "reviews_test", "--allow-test-split")
