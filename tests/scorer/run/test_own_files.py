"""What lossrank writes is no data: a run directory below the data is not read, a log file among it is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import click.testing
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle, Progress, ScoreOptions, SourceError, open_source, score_dataset
from scorer.address import Address
from scorer.audit.verify import verify
from scorer.data.folders.find import find_files, would_read
from tests.support.facts import facts

Lossrank = Callable[..., click.testing.Result]
OPTIONS = ScoreOptions(shard_rows=200, threads=1)


def write_lines(rows: pa.Table, file: Path) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows.to_pylist()))


@pytest.fixture(params=["parquet", "csv", "jsonl"])
def folder(request: pytest.FixtureRequest, rows: pa.Table, tmp_path: Path) -> Path:
    """Two files of 500 rows each, one of them in a folder below."""
    write = {"parquet": pq.write_table, "csv": pa.csv.write_csv, "jsonl": write_lines}[request.param]
    (tmp_path / "d" / "more").mkdir(parents=True)
    for i, name in enumerate(("a", "more/b")):
        write(rows.slice(500 * i, 500), tmp_path / "d" / f"{name}.{request.param}")
    return tmp_path / "d"


@pytest.mark.parametrize("pattern", ["", "/**/*.*", "/**"])
@pytest.mark.parametrize("relative", [False, True])
def test_a_run_below_its_data_finishes_and_is_ranked(
    folder: Path, tiny_bundle: ModelBundle, tmp_path: Path, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch,
    pattern: str, relative: bool,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    start = Path("d") if relative else folder
    data, run = f"{start}{pattern}", start / "run"
    first = lossrank("score", tiny_bundle.path, data, "-o", run, "--shard-rows", 200)
    assert first.exit_code == 0, first.output
    again = lossrank("score", tiny_bundle.path, data, "-o", run, "--shard-rows", 200)
    assert again.exit_code == 0, again.output
    assert len(json.loads((run / "run.json").read_text())["shards"]) == 5
    other = lossrank("score", tiny_bundle.path, data, "-o", start / "more" / "run 2")
    assert other.exit_code == 0, other.output
    assert lossrank("rank", run, "--top", 3).exit_code == 0
    assert verify(run).complete
    assert open_source(data).num_rows == 1000


def test_a_run_below_its_data_goes_on_whenever_it_was_cut_off(
    folder: Path, tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    def stop_at(rows: int) -> Callable[[Progress], None]:
        def stop(progress: Progress) -> None:
            if progress.rows >= rows:
                raise KeyboardInterrupt

        return stop

    for rows in (0, 300):  # before there is a shard, and after
        with pytest.raises(KeyboardInterrupt):
            score_dataset(tiny_bundle, folder, folder / "run", OPTIONS, on_progress=stop_at(rows))
    assert score_dataset(tiny_bundle, folder, folder / "run", OPTIONS).kept_rows == 200


def test_a_file_of_another_kind_that_is_added_in_mid_run_is_named(
    folder: Path, tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    stray = folder / ("notes.csv" if (folder / "a.jsonl").exists() else "notes.json")

    def add(progress: Progress) -> None:
        stray.write_text('{"a": 1}')

    with pytest.raises(SourceError, match=r"d/notes\.\w+ was added to the data while it was being read; .* are kept"):
        score_dataset(tiny_bundle, folder, folder / "run", OPTIONS, on_progress=add)
    stray.unlink()
    assert score_dataset(tiny_bundle, folder, folder / "run", OPTIONS).kept_rows == 1000


def test_what_is_named_itself_or_is_no_run_of_ours_is_data(
    rows: pa.Table, tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    score_dataset(tiny_bundle, rows, tmp_path / "run", OPTIONS)
    for data in ("run/scores", "run/scores/*.parquet", "run/scores/part-00000.parquet"):
        assert "loss" in open_source(tmp_path / data).schema.names
    with pytest.raises(SourceError, match=facts("no file of a known kind", ".arrow")):
        open_source(tmp_path)
    other = tmp_path / "other" / "run"
    (other / "scores").mkdir(parents=True)
    for content in ('{"text": "a"}\n', '{"text": "a"}\n{"text": "b"}\n', '["a"]', '{"text'):
        (other / "run.json").write_text(content)
        write_lines(rows, other / "scores" / "part-00000.jsonl")
        for data in ("other", "other/**/*.json*"):
            files = find_files(Address.parse(str(tmp_path / data)), None, None).files
            assert [file.name for file in files] == ["run.json", "part-00000.jsonl"]


@pytest.mark.parametrize(
    ("data", "log"),
    [
        ("d", "d/log.jsonl"),
        ("d", "d/more/log.json.gz"),
        ("link", "d/log.jsonl"),
        ("d", "link/log.jsonl"),
        ("file://TMP/d", "d/log.jsonl"),
        ("d/*", "d/x.log"),
        ("d/*.jsonl", "d/../d/log.jsonl"),
        ("d/**/*.jsonl", "d/more/deep/log.jsonl"),
        ("link/*.jsonl", "d/log.jsonl"),
        ("*.jsonl", "log.jsonl"),
        ("d/a.csv", "d/a.csv"),
        ("ag_news", "ag_news"),  # it would be found before the hub's
    ],
)
def test_a_log_file_among_the_data_is_refused_before_it_is_written(
    rows: pa.Table, tiny_bundle: ModelBundle, tmp_path: Path, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch,
    data: str, log: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d" / "more" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("d")
    for name in ("b.jsonl", "d/b.jsonl"):
        write_lines(rows, tmp_path / name)
    pa.csv.write_csv(rows, tmp_path / "d" / "a.csv")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    data = data.replace("TMP", str(tmp_path))
    refused = lossrank("score", tiny_bundle.path, "b.jsonl", data, "-o", "run", "--log-file", log)
    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: ")
    assert refused.stderr.count("\n") == 1
    assert all(fact in refused.stderr for fact in ("--log-file", log, data))
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    ("data", "log"),
    [
        ("d", "d/night.log"),
        ("d", "d/.log.jsonl"),
        ("d", "d/_logs/log.jsonl"),
        ("d", "log.jsonl"),
        ("d/*.jsonl", "d/more/log.jsonl"),
        ("d/*.jsonl", "d/log.json"),
        ("d/**/*.jsonl", "log.jsonl"),
        ("d/b.jsonl", "d/log.jsonl"),
        ("saved", "saved/log.jsonl"),
        ("s3://bucket/*.jsonl", "log.jsonl"),
    ],
)
def test_a_log_file_beside_the_data_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, log: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("d/b.jsonl", "saved/state.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert not would_read(Address.parse(data), Path(log))
