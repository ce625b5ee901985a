"""verify(): whatever is wrong with a run is found, and nothing is wrong with one that was scored."""

import fcntl
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click.testing
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.make_run import make_run
from scorer import ModelBundle, Progress, RunDirectory, RunError, ScoreOptions, score_dataset
from scorer.bundle import file_sha256
from scorer.lock import Writer
from scorer.summary import OF_THE_PROCESS
from scorer.verify import Verification, require_whole, verify
from tests.stores import web_server
from tests.tiny import make_bundle, weights

Lossrank = Callable[..., click.testing.Result]
OPTIONS = ScoreOptions(shard_rows=300, threads=1)
MODULE = sys.modules["scorer.verify"]  # the package's own name `verify` is the function


@pytest.fixture
def bundle(tmp_path: Path) -> ModelBundle:
    return make_bundle(tmp_path / "bundle")


@pytest.fixture
def data(rows: pa.Table, tmp_path: Path) -> Path:
    pq.write_table(rows, tmp_path / "data.parquet")
    return tmp_path / "data.parquet"


@pytest.fixture
def run(bundle: ModelBundle, data: Path, tmp_path: Path) -> Path:
    score_dataset(bundle, data, tmp_path / "run", OPTIONS)
    return tmp_path / "run"


def states(found: Verification) -> dict[str, str]:
    return {finding.what: finding.state for finding in found.findings}


def says(found: Verification, what: str) -> str:
    (said,) = (finding.says for finding in found.findings if finding.what == what)
    assert "\n" not in said
    return said


def shard(run: Path, index: int = 1) -> Path:
    return run / "scores" / f"part-0000{index}.parquet"


def edit(run: Path, **changes: Any) -> None:
    manifest = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(manifest | changes))


def relist(run: Path, index: int, table: pa.Table) -> None:
    """Replace a shard by another table, and its hash in the manifest by that one's."""
    pq.write_table(table, shard(run, index))
    manifest = json.loads((run / "run.json").read_text())
    manifest["shards"][shard(run, index).name]["sha256"] = file_sha256(shard(run, index))
    edit(run, shards=manifest["shards"])


def test_a_run_that_was_scored_is_right(run: Path) -> None:
    found = verify(run)
    assert states(found) == dict.fromkeys(["rows", "shards", "summary", "bundle", "data"], "ok")
    assert found.sound
    assert found.complete
    assert says(found, "rows") == "1,000, each once and in order"
    assert says(found, "summary") == "says what the shards do: ok 1,000"


def truncate(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.truncate(file.stat().st_size // 2)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)


def remove(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [(truncate, "has the SHA-256"), (flip, "has the SHA-256"), (remove, "is listed and not there")],
)
def test_a_damaged_shard_is_found_and_scored_again(
    run: Path, bundle: ModelBundle, data: Path, damage: Callable[[Path], None], message: str
) -> None:
    whole = {file.name: file.read_bytes() for file in (run / "scores").iterdir()}
    damage(shard(run))
    found = verify(run)
    assert not found.sound
    assert states(found)["part-00001.parquet"] == "wrong"
    assert message in says(found, "part-00001.parquet")
    assert "the same `lossrank score` command makes it anew" in says(found, "part-00001.parquet")
    assert says(found, "shards") == "3 of 4 are whole, by their SHA-256"
    assert score_dataset(bundle, data, run, OPTIONS).kept_rows == 700
    assert verify(run).complete
    assert {file.name: file.read_bytes() for file in (run / "scores").iterdir()} == whole


def test_rows_twice_missing_or_in_another_order_are_found(run: Path, bundle: ModelBundle, data: Path) -> None:
    table = pq.read_table(shard(run))
    for wrong, message in (
        (table.take(list(range(299, -1, -1))), "does not hold the rows from 300 on in order"),
        (pa.concat_tables([table.slice(0, 299), table.slice(0, 1)]), "does not hold the rows from 300 on in order"),
        (table.slice(0, 299), "ends with row 598, not 599"),
        (pa.concat_tables([table, pq.read_table(shard(run, 2)).slice(0, 1)]), "ends with row 600, not 599"),
        (table.drop_columns(["row"]), "has not the columns and classes of this run"),
        (table.replace_schema_metadata({"class_names": '["b", "a"]'}), "has not the columns and classes of this run"),
    ):
        relist(run, 1, wrong)
        assert f"{message}; remove it, and the same `lossrank score` command" in says(verify(run), "part-00001.parquet")
    shard(run).unlink()
    score_dataset(bundle, data, run, OPTIONS)
    assert verify(run).complete


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (pa.ArrowException("Unknown error: Failed to launch worker thread"), "mend that, and verify again"),
        (pa.ArrowMemoryError("malloc of size 64 failed"), "mend that, and verify again"),
        (PermissionError(13, "Permission denied"), "mend that, and verify again"),
        (OSError(5, "Error reading bytes from file"), "mend that, and verify again"),
        (pa.ArrowInvalid("Parquet magic bytes not found"), "remove it, and the same `lossrank score` command"),
        (OSError("Couldn't deserialize thrift"), "remove it, and the same `lossrank score` command"),
    ],
)
def test_only_a_shard_whose_content_is_at_fault_is_to_be_removed(
    run: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, advice: str
) -> None:
    def fail(file: Path) -> None:
        raise error

    monkeypatch.setattr(MODULE.pq, "ParquetFile", fail)
    said = says(verify(run), "part-00001.parquet")
    assert said.startswith(f"can't be read ({error}); {advice}")
    assert ("remove" in said) == ("remove" in advice)


def test_a_shard_is_held_against_the_rows_that_were_scored(run: Path) -> None:
    table = pq.read_table(shard(run))
    status = pa.array(["no_text"] * 2 + ["ok"] * 298)
    relist(run, 1, table.set_column(table.column_names.index("status"), "status", status))
    found = verify(run)
    assert says(found, "part-00001.parquet").startswith("holds no_text 2, ok 298; ok 300 were scored; remove it")
    with pytest.raises(RunError, match=r"does not hold what was scored: part-00001\.parquet: holds no_text 2, ok 298"):
        require_whole(RunDirectory.read(run))
    manifest = json.loads((run / "run.json").read_text())
    for each in manifest["shards"].values():
        del each["by_status"]  # as an older version wrote it
    edit(run, shards=manifest["shards"])
    assert "by_status is {'ok': 1000}, the shards say {'ok': 998, 'no_text': 2}" in says(verify(run), "summary")


def altered(value: Any) -> Any:
    """Return another value of the same kind."""
    if isinstance(value, dict):
        return {**{key: altered(item) for key, item in value.items()}, "one more": 1}
    return [*value, "x"] if isinstance(value, list) else (0.25 if value is None else value + 1)


def test_every_number_of_the_summary_that_follows_from_the_shards_is_counted_again(
    run: Path, bundle: ModelBundle, data: Path
) -> None:
    summary = json.loads((run / "run.json").read_text())["summary"]
    names = set(summary) - set(OF_THE_PROCESS) - {"screen"}
    assert {"mean_loss", "accuracy", "by_status", "tokens", "padding"} < names
    for name in names:
        edit(run, summary=summary | {name: altered(summary[name])})
        found = verify(run)
        assert states(found)["summary"] == "wrong"
        assert says(found, "summary").startswith(f"{name} is ")
        stats = score_dataset(bundle, data, run, OPTIONS)
        assert stats.as_dict()[name] == summary[name]
        assert json.loads((run / "run.json").read_text())["summary"] == summary


def test_files_that_are_none_of_the_runs_are_found(run: Path) -> None:
    (run / "scores" / "worst.parquet").write_bytes(b"x")
    (run / "scores" / "part-00099.parquet").write_bytes(b"x")
    (run / "scores" / ".part-00001.parquet.0.tmp").write_bytes(b"x")
    found = verify(run)
    assert [what for what, state in states(found).items() if state == "wrong"] == [
        "part-00099.parquet",
        "worst.parquet",
    ]
    assert "is no shard of this run; remove it" in says(found, "worst.parquet")
    shards = json.loads((run / "run.json").read_text())["shards"]
    edit(run, shards=shards | {"part-00099.parquet": shards["part-00000.parquet"]})
    assert "the data's 1,000 rows have no such shard" in says(verify(run), "part-00099.parquet")


def test_what_was_cut_off_is_sound_and_not_complete(bundle: ModelBundle, data: Path, tmp_path: Path) -> None:
    def cut(progress: Progress) -> None:
        if progress.rows >= 600:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_dataset(bundle, data, tmp_path / "run", OPTIONS, on_progress=cut)
    left = len(RunDirectory.read(tmp_path / "run").missing_shards())
    shard(tmp_path / "run", 3).write_bytes(b"renamed, and not listed yet")
    found = verify(tmp_path / "run")
    assert found.sound
    assert not found.complete
    assert states(found)["rows"] == states(found)["part-00003.parquet"] == "unfinished"
    assert says(found, "shards") == f"{4 - left} of 4 are whole, by their SHA-256"
    score_dataset(bundle, data, tmp_path / "run", OPTIONS)
    assert verify(tmp_path / "run").complete


def test_a_run_without_its_summary_or_its_screen_is_not_finished(run: Path) -> None:
    manifest = json.loads((run / "run.json").read_text())
    manifest["options"] |= {"precision": "screen", "screen_top": 10}
    del manifest["summary"]
    (run / "run.json").write_text(json.dumps(manifest))
    found = verify(run)
    assert found.sound
    assert [what for what, state in states(found).items() if state == "unfinished"] == ["screen", "summary"]


def test_a_bundle_or_data_that_changed_is_found_and_one_that_is_gone_is_said(
    run: Path, bundle: ModelBundle, data: Path, rows: pa.Table, tmp_path: Path
) -> None:
    moved = data.rename(tmp_path / "moved.parquet")
    bundle.path.rename(tmp_path / "moved")
    found = verify(run)
    assert states(found)["bundle"] == states(found)["data"] == "absent"
    assert found.complete
    assert f"{data} is not there any more; name its place with --data" in says(found, "data")
    found = verify(run, bundle=tmp_path / "moved", data=moved)
    assert states(found)["bundle"] == states(found)["data"] == "ok"
    assert not verify(run, data=data).sound
    assert not verify(run, bundle=bundle.path).sound
    make_bundle(bundle.path, table=weights(seed=3))
    pq.write_table(rows.slice(1), data)
    found = verify(run)
    assert "is another one: SHA-256" in says(found, "bundle")
    assert "has changed since it was scored" in says(found, "data")
    (bundle.path / "model.onnx").write_bytes(b"x")
    assert "has changed since the export" in says(verify(run), "bundle")


def test_a_table_in_memory_can_be_compared(bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    score_dataset(bundle, rows, tmp_path / "run", OPTIONS)
    assert states(verify(tmp_path / "run"))["data"] == "absent"
    assert states(verify(tmp_path / "run", data=rows))["data"] == "ok"
    assert states(verify(tmp_path / "run", data=rows.slice(1)))["data"] == "wrong"


def test_globs_and_names_of_data_sets(run: Path, data: Path, tmp_path: Path) -> None:
    spec = {"kind": "files", "data": str(tmp_path / "data*.parquet"), "split": None, "files": []}
    manifest = json.loads((run / "run.json").read_text())
    edit(run, data=manifest["data"] | {"spec": spec})
    assert states(verify(run))["data"] == "ok"
    data.unlink()
    assert states(verify(run))["data"] == "absent"
    spec = {"kind": "datasets", "data": "no_such_data_set", "config": None, "split": "test"}
    edit(run, data=manifest["data"] | {"spec": spec})
    assert states(verify(run))["data"] == "absent"


def test_a_run_of_several_paths(bundle: ModelBundle, rows: pa.Table, tmp_path: Path, lossrank: Lossrank) -> None:
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for i, file in enumerate(files):
        pq.write_table(rows.slice(500 * i, 500), file)
    score_dataset(bundle, files, tmp_path / "run", OPTIONS)
    assert verify(tmp_path / "run").complete
    moved = [file.rename(tmp_path / f"moved-{file.name}") for file in files]
    assert "is not there any more" in lossrank("verify", tmp_path / "run").stdout
    result = lossrank("verify", tmp_path / "run", "--data", moved[0], "--data", moved[1])
    assert result.exit_code == 0
    assert "is what was scored" in result.stdout


def test_a_store_that_is_out_of_reach_is_not_wrong(run: Path, tmp_path: Path, lossrank: Lossrank) -> None:
    manifest = json.loads((run / "run.json").read_text())

    def at(place: str | list[str]) -> None:
        edit(run, data=manifest["data"] | {"spec": manifest["data"]["spec"] | {"data": place}})

    with web_server(tmp_path) as (web, handler):
        at(f"{web}/data.parquet")
        assert verify(run).complete
        handler.status = 503
        found = verify(run)
        assert states(found)["data"] == "absent"
        assert says(found, "data").startswith(f"can't be compared: {web}/data.parquet can't be opened: ")
        handler.status = None
        at([f"{web}/data.parquet", f"{web}/gone.parquet"])
        assert states(verify(run))["data"] == "absent"
        (tmp_path / "data.parquet").write_bytes(b"PAR1 no more")
        at(f"{web}/data.parquet")
        assert states(verify(run))["data"] == "wrong"
    result = lossrank("verify", run)
    assert result.exit_code == 0
    assert "absent     data                can't be compared: " in result.stdout


def test_the_manifest_is_read_after_the_lock_was_asked_for(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the two a process may end, having written its last shard."""
    whole = (run / "run.json").read_text()
    manifest = json.loads(whole)
    del manifest["shards"]["part-00003.parquet"], manifest["summary"]
    (run / "run.json").write_text(json.dumps(manifest))
    read = RunDirectory.read(run)
    assert read.missing_shards() == [3]

    def asked(path: Path) -> None:
        (run / "run.json").write_text(whole)

    monkeypatch.setattr(MODULE, "writer", asked)
    assert verify(read).complete


def test_a_writer_that_starts_meanwhile_is_noticed(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([None, Writer(4242)])
    monkeypatch.setattr(MODULE, "writer", lambda path: next(answers))
    with pytest.raises(RunError, match=r"being written by another lossrank process \(pid 4242\)"):
        verify(run)


def test_a_run_that_is_being_written_is_left(run: Path) -> None:
    with (run / ".lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunError, match=rf"being written by another lossrank process \(pid {os.getpid()}\)"):
            verify(run)


def test_score_fails_when_what_it_wrote_does_not_hold(
    bundle: ModelBundle, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scorer import pipeline

    summarise = pipeline.summarise

    def damaging(run: RunDirectory, **arguments: Any) -> Any:
        stats = summarise(run, **arguments)
        flip(run.shard_file(2))
        return stats

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "summarise", damaging)
        with pytest.raises(RunError, match=r"does not hold what was scored: part-00002\.parquet: has the SHA-256"):
            score_dataset(bundle, data, tmp_path / "run", OPTIONS)
    assert "summary" not in json.loads((tmp_path / "run" / "run.json").read_text())
    assert score_dataset(bundle, data, tmp_path / "run", OPTIONS).kept_rows == 700
    run = RunDirectory.open(tmp_path / "run")
    require_whole(run)


def test_the_command_has_a_line_for_each_finding_and_a_code(lossrank: Lossrank, run: Path) -> None:
    right = lossrank("verify", run)
    assert right.exit_code == 0
    assert [line.split()[:2] for line in right.stdout.splitlines()] == [
        ["ok", what] for what in ("rows", "shards", "summary", "bundle", "data")
    ]
    assert lossrank("verify", run, "--fail-if", "mean_loss > 0").exit_code == 3
    truncate(shard(run))
    wrong = lossrank("verify", run)
    assert wrong.exit_code == 1
    assert wrong.stdout.startswith("wrong      part-00001.parquet  has the SHA-256")
    assert wrong.stderr == f"Error: {run} is not as it was scored: part-00001.parquet\n"
    gated = lossrank("verify", run, "--fail-if", "mean_loss > 0")
    assert gated.exit_code == 1
    assert gated.stderr.startswith("gate failed: mean_loss > 0: mean_loss is ")
    assert gated.stderr.endswith(f"Error: {run} is not as it was scored: part-00001.parquet\n")
    result = lossrank("verify", run, "--json", "--fail-if", "mean_loss > 0")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["sound"] is False
    assert document["summary"]["rows"] == 1000
    assert [line.split(":")[0] for line in document["failed_gates"]] == ["mean_loss > 0"]
    shard(run).unlink()
    edit(run, shards={}, summary=None)
    assert f"Error: {run} is not finished: " in lossrank("verify", run).stderr
    assert json.loads(lossrank("verify", run, "--json", "--fail-if", "rows > 0").stdout)["failed_gates"] is None


def test_a_large_synthetic_run_is_verified_a_batch_at_a_time(tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", 200_000, 150_000)
    found = verify(made)
    assert found.complete
    assert says(found, "rows") == "200,000, each once and in order"
