"""verify(): whether a run's bundle and data are those that were scored, as far as they can be reached."""

import json
from collections.abc import Callable
from pathlib import Path

import click.testing
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle, ScoreOptions, score_dataset
from scorer.verify import verify
from tests.damage import edit, says, states
from tests.stores import web_server
from tests.tiny import make_bundle, weights

Lossrank = Callable[..., click.testing.Result]
OPTIONS = ScoreOptions(shard_rows=300, threads=1)


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
