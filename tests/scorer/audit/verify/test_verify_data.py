"""verify(): whether a run's bundle and data are those that were scored, as far as they can be reached."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import click.testing
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations import local

from scorer import ModelBundle, score_dataset
from scorer.audit.verify import verify
from tests.scorer.audit.verify.damage import OPTIONS, edit, says, states, truncate
from tests.support.facts import tells
from tests.support.stores import web_server
from tests.support.tiny import make_bundle, weights

Lossrank = Callable[..., click.testing.Result]


def test_a_bundle_or_data_that_changed_is_found_and_one_that_is_gone_is_said(
    run: Path, bundle: ModelBundle, data: Path, rows: pa.Table, tmp_path: Path
) -> None:
    moved = data.rename(tmp_path / "moved.parquet")
    bundle.path.rename(tmp_path / "moved")
    found = verify(run)
    assert states(found)["bundle"] == states(found)["data"] == "absent"
    assert found.complete
    assert tells(says(found, "data"), data, "'moved.parquet'", "`data`")
    found = verify(run, bundle=tmp_path / "moved", data=moved)
    assert states(found)["bundle"] == states(found)["data"] == "ok"
    assert not verify(run, data=data).sound
    assert not verify(run, bundle=bundle.path).sound
    make_bundle(bundle.path, table=weights(seed=3))
    pq.write_table(rows.slice(1), data)
    found = verify(run)
    assert tells(says(found, "bundle"), bundle.path, "another", "SHA-256")
    assert tells(says(found, "data"), data.name, "has changed")
    (bundle.path / "model.onnx").write_bytes(b"x")
    assert tells(says(verify(run), "bundle"), bundle.path, "has changed")


def test_a_table_in_memory_can_be_compared(bundle: ModelBundle, rows: pa.Table, tmp_path: Path) -> None:
    score_dataset(bundle, rows, tmp_path / "run", OPTIONS)
    assert states(verify(tmp_path / "run"))["data"] == "absent"
    assert states(verify(tmp_path / "run", data=rows))["data"] == "ok"
    assert states(verify(tmp_path / "run", data=rows.slice(1)))["data"] == "wrong"


def test_a_glob(run: Path, data: Path, tmp_path: Path) -> None:
    spec = {"kind": "files", "data": str(tmp_path / "data*.parquet"), "split": None, "files": []}
    manifest = json.loads((run / "run.json").read_text())
    edit(run, data=manifest["data"] | {"spec": spec})
    assert states(verify(run))["data"] == "ok"
    data.unlink()
    assert states(verify(run))["data"] == "absent"


def test_a_run_of_several_paths(bundle: ModelBundle, rows: pa.Table, tmp_path: Path, lossrank: Lossrank) -> None:
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for i, file in enumerate(files):
        pq.write_table(rows.slice(500 * i, 500), file)
    score_dataset(bundle, files, tmp_path / "run", OPTIONS)
    assert verify(tmp_path / "run").complete
    moved = [files[0], files[1].rename(tmp_path / "moved-b.parquet")]
    (line,) = [line for line in lossrank("verify", tmp_path / "run").stdout.splitlines() if " data " in line]
    assert tells(line, "absent", files[1])
    assert str(files[0]) not in line
    result = lossrank("verify", tmp_path / "run", "--data", moved[0], "--data", moved[1])
    assert result.exit_code == 0
    assert re.search(r"^ok +data ", result.stdout, re.MULTILINE)


def test_a_store_that_is_out_of_reach_is_not_wrong(run: Path, data: Path, tmp_path: Path, lossrank: Lossrank) -> None:
    manifest = json.loads((run / "run.json").read_text())

    def at(place: str | list[str]) -> None:
        edit(run, data=manifest["data"] | {"spec": manifest["data"]["spec"] | {"data": place}})

    with web_server(tmp_path) as (web, handler):
        at(f"{web}/data.parquet")
        assert verify(run).complete
        handler.status = 503
        found = verify(run)
        assert states(found)["data"] == "absent"
        assert tells(says(found, "data"), "can't be compared", f"{web}/data.parquet")
        handler.status = None
        at([f"{web}/data.parquet", f"{web}/gone.parquet"])
        assert states(verify(run))["data"] == "absent"
        whole = data.read_bytes()
        data.write_bytes(b"PAR1 no more")
        at(f"{web}/data.parquet")
        assert states(verify(run))["data"] == "wrong"
        data.write_bytes(whole)
    result = lossrank("verify", run)
    assert result.exit_code == 0
    assert "absent     data                can't be compared: " in result.stdout


def csv(first: int, rows: int = 200) -> str:
    return "text,label\n" + "".join(f"w{i % 50} w{i % 7},{i % 4}\n" for i in range(first, first + rows))


def test_a_remote_file_that_is_damaged_is_wrong(bundle: ModelBundle, tmp_path: Path) -> None:
    """A broken stream of a compressed file is an OSError too, as what a store raises is."""
    file = tmp_path / "r.csv.gz"
    file.write_bytes(gzip.compress(csv(0).encode()))
    score_dataset(bundle, f"local://{file}", tmp_path / "run", OPTIONS)
    assert states(verify(tmp_path / "run"))["data"] == "ok"
    truncate(file)
    found = verify(tmp_path / "run")
    assert tells(says(found, "data"), f"file://{file}", "CSV", "Truncated")
    assert not found.complete


@pytest.mark.parametrize("query", ["", "?sig=1"])
def test_a_local_file_is_looked_at_though_another_one_is_out_of_reach(
    bundle: ModelBundle, tmp_path: Path, query: str
) -> None:
    here, there = tmp_path / "a.csv", tmp_path / "web"
    there.mkdir()
    here.write_text(csv(0))
    (there / "b.csv").write_text(csv(200))
    with web_server(there) as (web, handler):
        score_dataset(bundle, [here, f"{web}/b.csv{query}"], tmp_path / "run", OPTIONS)
        handler.status = 403  # as of an address whose signature is left out
        assert states(verify(tmp_path / "run"))["data"] == "absent"
        handler.status = None
        (there / "b.csv").write_text(csv(400))  # of the address as it was kept this may be right
        assert states(verify(tmp_path / "run"))["data"] == ("absent" if query else "wrong")
        for status in (None, 403):
            handler.status = status
            here.write_text(csv(1))
            changed = verify(tmp_path / "run")
            assert states(changed)["data"] == "wrong"
            here.write_bytes(b'text,label\n"never closed,1\n')
            assert states(verify(tmp_path / "run"))["data"] == "wrong"
            here.unlink()
            here.mkdir()
            assert states(verify(tmp_path / "run"))["data"] == "wrong"
            here.rmdir()
            assert states(verify(tmp_path / "run"))["data"] == "absent"  # it may have moved
    assert tells(says(changed, "data"), here, "has changed")


class HTTPError(OSError):
    """Stands in for the HTTP libraries', which are this too."""


def test_a_store_that_fails_in_the_middle_of_a_file_is_not_wrong(
    bundle: ModelBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [tmp_path / "a.csv", tmp_path / "a.csv.gz", tmp_path / "a.parquet", tmp_path / "a.arrow"]
    table = pa.table({"text": ["w1 w2"] * 200, "label": [0, 1] * 100})
    files[0].write_text(csv(0))
    files[1].write_bytes(gzip.compress(csv(0).encode()))
    pq.write_table(table, files[2])
    with pa.ipc.new_file(files[3], table.schema) as writer:
        writer.write_table(table)
    for file in files:
        score_dataset(bundle, f"local://{file}", tmp_path / "runs" / file.name, OPTIONS)
    for file in files:
        for failure in (OSError("reset"), ValueError("no range requests"), PermissionError("no")):
            monkeypatch.setattr(local.LocalFileOpener, "read", Mock(side_effect=failure))
            found = verify(tmp_path / "runs" / file.name)
            assert states(found)["data"] == "absent"
            assert tells(says(found, "data"), "can't be compared", f"file://{file}")


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ConnectionError("no hub"), "absent"),
        (FileNotFoundError("no such data set"), "absent"),
        (HTTPError("503"), "absent"),
        (ValueError("Unknown split"), "wrong"),
        (gzip.BadGzipFile("not a gzip file"), "wrong"),
        (OSError("Invalid data stream"), "wrong"),
        (EOFError("ended"), "wrong"),
    ],
)
def test_a_hub_that_fails_is_told_from_a_data_set_that_is_damaged(
    run: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, state: str
) -> None:
    datasets = pytest.importorskip("datasets")

    def fail(*arguments: object, **named: object) -> None:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", fail)
    monkeypatch.setattr(datasets, "load_dataset_builder", fail)
    manifest = json.loads((run / "run.json").read_text())
    for streaming in (False, True):
        spec = {"kind": "datasets", "data": "a/name", "config": None, "split": "test", "streaming": streaming}
        edit(run, data=manifest["data"] | {"spec": spec})
        assert states(verify(run))["data"] == state
