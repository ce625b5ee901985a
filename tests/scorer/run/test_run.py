"""RunDirectory: one writer, atomic files, and one line for each thing the system refuses."""

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from scorer import ModelBundle, Progress, RunDirectory, RunError, ScoreOptions, rank, score_dataset
from scorer.audit.verify import verify
from scorer.files import write_atomically
from scorer.model.calibration import Calibration
from scorer.run import start as scorer_run
from scorer.run.lock import locked
from tests.support.commands import read_only
from tests.support.facts import facts


@pytest.fixture(scope="module")
def finished(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run for ``run`` to copy."""
    path = tmp_path_factory.mktemp("finished") / "run"
    score_dataset(tiny_bundle, rows, path, ScoreOptions(shard_rows=300, threads=1))
    return path


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A run for this test alone."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_the_manifest_says_what_was_scored_and_how(run: Path, tiny_bundle: ModelBundle) -> None:
    opened = RunDirectory.open(run)
    assert opened.class_names == tiny_bundle.class_names
    assert opened.model_name == "tiny"
    assert opened.num_rows == 1000
    assert opened.columns.to_dict() == {"text": "text", "text_pair": None, "label": "label", "id": None}
    assert [opened.shard_range(i) for i in range(opened.num_shards)] == [(0, 300), (300, 600), (600, 900), (900, 1000)]
    manifest = json.loads((run / "run.json").read_text())
    assert manifest["bundle"]["sha256"] == tiny_bundle.sha256
    assert manifest["machine"]["versions"]["onnxruntime"]
    assert manifest["summary"]["by_status"] == {"ok": 1000}
    assert list(manifest["shards"]) == [f"part-0000{i}.parquet" for i in range(4)]


def test_a_folder_of_something_else_is_left_alone(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(RunError, match=facts("/home exists", "not a run directory", "`output`")):
            score_dataset(tiny_bundle, rows, tmp_path / "home", overwrite=overwrite)
    assert [file.name for file in (tmp_path / "home").iterdir()] == ["thesis.txt"]
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="file exists and is not a run directory"):
        score_dataset(tiny_bundle, rows, tmp_path / "file")


def test_a_run_that_another_process_began_meanwhile_keeps_its_batch_size(
    tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It began and ended between this one's planning and its lock."""
    there, plans = tmp_path / "run", []

    def cut(progress: Progress) -> None:
        if progress.rows >= 600:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def later(path: Path) -> Iterator[None]:
        monkeypatch.setattr(scorer_run, "locked", locked)
        with pytest.raises(KeyboardInterrupt):
            score_dataset(
                tiny_bundle, rows, there, ScoreOptions(shard_rows=300, threads=1, batch_tokens=333), on_progress=cut
            )
        with locked(path):
            yield

    monkeypatch.setattr(scorer_run, "locked", later)
    stats = score_dataset(tiny_bundle, rows, there, ScoreOptions(shard_rows=300, threads=1), on_plan=plans.append)
    assert stats.kept_rows in (300, 600)
    assert plans[0].calibration == Calibration(333, {}, "the size that the run began with")
    manifest = json.loads((there / "run.json").read_text())
    assert manifest["options"]["batch_tokens"] == manifest["calibration"]["batch_tokens"] == 333


def test_a_second_writer_is_refused_while_the_first_lives(
    tiny_bundle: ModelBundle, rows: pa.Table, run: Path, tmp_path: Path
) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()",
            str(run / ".lock"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    options = ScoreOptions(shard_rows=300, threads=1)
    try:
        with pytest.raises(RunError, match=facts(run, "another lossrank process")):
            score_dataset(tiny_bundle, rows, run, options)
    finally:
        holder.kill()
        holder.communicate()
    assert score_dataset(tiny_bundle, rows, run, options).kept_rows == 1000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"run\.json can't be read"),
        ("[]", "is not a run's manifest"),
        ('{"format": 2}', r"run\.json .*data is missing"),
        ('{"format": 1}', r"written by an older lossrank \(format 1\); score the data again"),
        ('{"format": 99}', r"written by a newer lossrank \(format 99\); upgrade"),
    ],
)
def test_a_damaged_manifest_is_named(run: Path, content: str, message: str) -> None:
    (run / "run.json").write_text(content)
    with pytest.raises(RunError, match=message):
        RunDirectory.open(run)


def test_what_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="missing does not exist"):
        RunDirectory.open(tmp_path / "missing")
    with pytest.raises(RunError, match=r"is not a run directory \(no run.json\)"):
        RunDirectory.open(tmp_path)


def test_a_shard_that_is_not_what_was_written_is_used_by_nobody(run: Path) -> None:
    (run / "scores" / "part-00003.parquet").replace(run / "scores" / "part-00000.parquet")
    opened = RunDirectory.open(run)
    for use in (lambda: opened.read_shard(0), lambda: list(opened.batches(["row"])), lambda: rank(opened, 1)):
        with pytest.raises(RunError, match=facts("part-00000.parquet", "changed")):
            use()


@pytest.mark.parametrize("place", range(0, 2000, 37))
def test_no_flipped_bit_reaches_a_ranking(run: Path, place: int) -> None:
    file = run / "scores" / "part-00001.parquet"
    content = bytearray(file.read_bytes())
    content[place % len(content)] ^= 1 << place % 8
    file.write_bytes(content)
    with pytest.raises(RunError, match=r"part-00001\.parquet can't be read"):
        rank(run, 5)


def test_a_run_may_have_a_colon_in_its_name_and_be_no_address(
    tiny_bundle: ModelBundle, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    score_dataset(tiny_bundle, data, "night-T10:30", ScoreOptions(threads=1))
    assert len(rank("night-T10:30", 7)) == 7
    assert verify("night-T10:30").complete
    with pytest.raises(RunError, match=r"s3:/bucket/run .*`output`"):
        score_dataset(tiny_bundle, data, "s3://bucket/run", ScoreOptions(threads=1))
    assert not (tmp_path / "s3:").exists()


def test_an_atomic_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")

    def fail(stream: object) -> None:
        stream.write(b"new, half")  # type: ignore[attr-defined]
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        write_atomically(file, fail)
    assert file.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_said_and_the_run_goes_on_elsewhere_later(
    tiny_bundle: ModelBundle, rows: pa.Table, small_disk: Path
) -> None:
    options = ScoreOptions(shard_rows=100, threads=1)
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 20_000)
    with pytest.raises(RunError, match=facts("no space", small_disk / "run")):
        score_dataset(tiny_bundle, rows.slice(0, 1000), small_disk / "run", options)
    finished = sorted(file.name for file in (small_disk / "run" / "scores").iterdir())
    assert 0 < len(finished) < 10
    assert all(name.startswith("part-") for name in finished)
    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    stats = score_dataset(tiny_bundle, rows, small_disk / "run", options)
    assert stats.kept_rows >= 100 * (len(finished) - 1)
    assert stats.by_status == {"ok": 1000}


def test_a_read_only_place_is_said(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    target = read_only(tmp_path)
    with pytest.raises(RunError, match="can't be written"):
        score_dataset(tiny_bundle, rows, target / "run")


def test_another_projects_run_json_is_left_alone(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    (tmp_path / "run" / "scores").mkdir(parents=True)
    (tmp_path / "run" / "run.json").write_text('{"my": "thing"}')
    (tmp_path / "run" / "scores" / "precious.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(RunError, match="exists and is not a run directory"):
            score_dataset(tiny_bundle, rows, tmp_path / "run", overwrite=overwrite)
    assert (tmp_path / "run" / "scores" / "precious.txt").read_text() == "mine"


@pytest.mark.parametrize("content", ["[]", '"x"', '{"format": 2}', "{"])
def test_a_run_json_that_says_nothing_is_overwritten_as_its_error_advises_but_not_beside_other_files(
    tiny_bundle: ModelBundle, rows: pa.Table, run: Path, content: str
) -> None:
    options = ScoreOptions(shard_rows=300, threads=1)
    (run / "run.json").write_text(content)
    (run / "review.sqlite-wal").write_bytes(b"x")
    with pytest.raises(RunError, match=r"`overwrite=True`$"):
        RunDirectory.open(run)
    for foreign in (run / "notes.txt", run / "scores" / "worst.parquet"):
        foreign.write_text("mine")
        with pytest.raises(RunError, match="exists and is not a run directory"):
            score_dataset(tiny_bundle, rows, run, options, overwrite=True)
        assert (run / "run.json").read_text() == content
        foreign.unlink()
    assert score_dataset(tiny_bundle, rows, run, options, overwrite=True).kept_rows == 0
    assert RunDirectory.open(run).missing_shards() == []


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("call", ["mkdir", "unlink", "replace", "glob"])
@pytest.mark.parametrize("nth", range(6))
def test_whatever_ends_the_start_of_a_run_the_same_command_works_again(
    tiny_bundle: ModelBundle,
    rows: pa.Table,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    nth: int,
    overwrite: bool,
) -> None:
    class Killed(BaseException):
        """Stands in for a kill."""

    few, options = rows.slice(0, 100), ScoreOptions(shard_rows=40, threads=1)
    if overwrite:
        score_dataset(tiny_bundle, few, tmp_path / "run", ScoreOptions(shard_rows=50, threads=1))
    counted = 0
    original = getattr(Path, call)

    def dying(path: Path, *arguments: object, **named: object) -> object:
        nonlocal counted
        counted += 1
        if counted > nth:
            raise Killed
        return original(path, *arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(Path, call, dying)
        with contextlib.suppress(Killed):
            score_dataset(tiny_bundle, few, tmp_path / "run", options, overwrite=overwrite)
    stats = score_dataset(tiny_bundle, few, tmp_path / "run", options, overwrite=overwrite)
    assert stats.by_status == {"ok": 100}
    names = {f"part-0000{i}.parquet" for i in range(3)}
    assert {file.name for file in (tmp_path / "run" / "scores").iterdir()} == names


def test_a_symlink_where_a_temporary_file_would_go_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / ".worst.csv.tmp").symlink_to(victim)
    write_atomically(tmp_path / "worst.csv", lambda stream: stream.write(b"new"))
    assert victim.read_text() == "mine"
    assert (tmp_path / "worst.csv").read_text() == "new"
    assert not (tmp_path / "worst.csv").is_symlink()
