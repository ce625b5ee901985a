"""`python -m benchmarks`: its parts, and a quick run of the whole with candidates that need no peer's package."""

import functools
import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.agree import DisagreementError, compare
from benchmarks.batches import by_length, in_order, pad
from benchmarks.candidates import NAMES
from benchmarks.measure import measure
from benchmarks.models import CLASSES, DEMO
from benchmarks.protocol import Info, Job, cross_entropy
from benchmarks.rows import make_rows
from benchmarks.sweeps import _BATCH_TOKENS
from benchmarks.workloads import QUICK, WORKLOADS, Workload
from tests.support import ROOT, SOAK

made = functools.cache(make_rows)
FP32, INT8 = Info("fp32", (), sorts=True), Info("int8", (), sorts=True, precision="int8", tolerance=None)


def test_every_candidate_has_a_file_and_every_file_is_a_candidate() -> None:
    infos = {name: importlib.import_module(f"benchmarks.candidates.{name}").INFO for name in NAMES}
    shared = {"__init__", "lossrank", "openvino_runtime", "pipelines"}
    assert {file.stem for file in (ROOT / "benchmarks" / "candidates").glob("*.py")} - shared == set(NAMES)
    assert len({info.title for info in infos.values()}) == len(NAMES)
    for workload in (*QUICK, *WORKLOADS):
        assert set(workload.candidates) <= set(NAMES)


@pytest.mark.parametrize("name", [pytest.param("tail", marks=SOAK), "len-256"])
def test_rows_are_the_same_every_time_and_none_is_there_twice(name: str) -> None:
    rows = made(name)
    assert rows.texts == make_rows(name).texts
    assert len(set(rows.texts)) == len(rows.texts) == len(rows.labels) == len(rows.tokens)
    assert rows.tokens.min() >= 5
    assert rows.tokens.max() <= 512
    fewer = rows.without(rows.texts[:10])
    assert fewer.texts == rows.texts[10:]
    assert fewer.tokens.tolist() == rows.tokens[10:].tolist()


@SOAK
def test_the_first_batches_have_about_the_padding_of_all() -> None:
    tokens = made("tail").tokens
    whole = tokens[: len(tokens) // 32 * 32].reshape(-1, 32)
    for count in (1, 2, 8):
        few = whole[:count].max(axis=1).sum() * 32 / whole[:count].sum()
        assert few == pytest.approx(whole.max(axis=1).sum() * 32 / whole.sum(), rel=0.1)


def test_texts_of_one_length_have_it() -> None:
    assert set(made("len-256").tokens.tolist()) == {256}


def test_batches_hold_every_row_once() -> None:
    ids = [[1] * length for length in (5, 1, 9, 3, 40)]
    for batches in (list(by_length(ids, 12)), list(in_order(len(ids), 2))):
        assert sorted(np.concatenate(batches).tolist()) == [0, 1, 2, 3, 4]
    assert [len(batch) for batch in by_length(ids, 12)] == [1, 1, 2, 1]
    inputs = pad(ids, np.array([1, 3]))
    assert inputs["input_ids"].tolist() == [[1, 0, 0], [1, 1, 1]]
    assert inputs["attention_mask"].tolist() == [[1, 0, 0], [1, 1, 1]]


def test_cross_entropy_is_that_of_the_softmax_over_classes() -> None:
    losses = cross_entropy(np.array([[0.0, 0.0], [1000.0, 0.0]]), np.array([1, 1]))
    assert losses.tolist() == pytest.approx([np.log(2), 1000.0])


def test_a_candidate_that_computes_something_else_fails_the_run() -> None:
    theirs = np.linspace(0, 5, 200)
    infos = {"tutorial": FP32, "mine": FP32, "lossrank_fp32": FP32, "small": INT8}
    losses = {"tutorial": theirs[:100], "mine": theirs + 1e-6, "lossrank_fp32": theirs, "small": theirs + 0.1}
    found = compare(losses, infos)
    assert found["mine"]["to_torch"]["rows"] == 100
    assert found["mine"]["to_torch"]["max"] == pytest.approx(1e-6)
    assert found["small"]["to_lossrank_fp32"]["mean"] == pytest.approx(0.1)
    assert found["small"]["to_lossrank_fp32"]["worst_rows_shared"] == 1.0
    with pytest.raises(DisagreementError, match="mine: a loss is off by 0"):
        compare({**losses, "mine": theirs + 1e-3}, infos)
    with pytest.raises(DisagreementError, match="mine: 1 losses are not finite"):
        compare({**losses, "mine": np.append(theirs, np.nan)}, infos)


def test_a_job_survives_json() -> None:
    job = Job(Path("a"), Path("b"), Path("c"), Path("d"), 512, 2, ("x", "y"), ("text",))
    assert Job.from_json(json.loads(json.dumps(job.as_json()))) == job


@SOAK
def test_a_workload_is_measured_in_workers(tmp_path: Path) -> None:
    workload = Workload("demo", "the demo's model, news", "demo", "news", 1.0, 32, ("lossrank_fp32", "lossrank_int8"))
    job = Job(DEMO, DEMO, DEMO / "bundle", tmp_path, 256, 1, CLASSES, ())
    found = measure(workload, made("news"), job, 3.0, 1)
    assert set(found["not_measured"]) == set(NAMES) - {"lossrank_fp32"}
    assert "BundleError" in found["not_measured"]["lossrank_int8"]
    figures = found["candidates"]["lossrank_fp32"]
    assert figures["rows_per_second"] > 0
    assert figures["versions"]


# What `python -m benchmarks` does, but for the rows that warm a candidate up, which take long and prove nothing here.
QUICKER = """
import dataclasses, runpy
from benchmarks import workloads

workloads.QUICK = tuple(dataclasses.replace(workload, first=32) for workload in workloads.QUICK)
runpy.run_module("benchmarks", run_name="__main__", alter_sys=True)
"""


@SOAK
@pytest.mark.timeout(240)
def test_a_quick_run_measures_what_needs_no_peer(tmp_path: Path) -> None:
    output = tmp_path / "quick.json"
    command = [sys.executable, "-c", QUICKER, "--quick", "--repeats", "1", "--minutes", "0.3"]
    command += ["--cache", str(tmp_path / "cache"), "--output", str(output)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(output.read_text())
    (workload,) = result["workloads"].values()
    assert set(workload["not_measured"]) == set(NAMES) - set(QUICK[0].candidates)
    assert list(workload["candidates"]) == list(QUICK[0].candidates)
    for name, figures in workload["candidates"].items():
        assert figures["rows_per_second"] > 0
        assert figures["versions"]
        if name != "tutorial":
            assert figures["agreement"]["to_torch"]["max"] <= figures["agreement"]["tolerance"]
    assert result["machine"]["cores"]


def test_the_page_says_what_was_measured_and_what_was_not(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks.report import write_page

    figures = {
        "title": "lossrank fp32", "precision": "fp32", "lossrank": True, "sorts": True, "rows": 100, "tokens": 5000,
        "seconds": [1.0], "tokens_per_second": 5000.0, "tokens_per_second_range": [4900.0, 5100.0],
        "rows_per_second": 100.0, "ratio_to_tutorial": 4.0, "peak_memory_bytes": 10**8, "versions": {"numpy": "2"},
        "agreement": {},
    }  # fmt: skip
    result = {
        "date": "2026-01-01T00:00:00", "seconds": 60.0, "matrix_peak_flops": 1e12,
        "machine": {"cpu": "a CPU", "family": "", "instructions": ["avx2"], "cores": [0], "cores_of_machine": 1,
                    "memory_bytes": 2**30, "system": "Linux", "python": "3"},
        "models": {"demo": {"token_parameters": 10**7}},
        "workloads": {"demo": {
            "title": "a workload", "model": "demo", "rows": {"mean": 50.0, "p50": 50.0, "p99": 60.0, "p100": 70.0},
            "losses": {"p1": 0.1, "p50": 1.0, "p99": 9.0}, "candidates": {"lossrank_fp32": figures},
            "not_measured": {"infinity": "its environment is not there"},
        }},
    }  # fmt: skip
    page = write_page(result, tmp_path).read_text()
    assert "| **lossrank fp32** | 100.0 |" in page
    assert "- `infinity`: its environment is not there" in page
    assert (tmp_path / "benchmarks.svg").stat().st_size > 1000


def test_the_page_is_made_of_the_results_that_are_here() -> None:
    from benchmarks.report import page_text

    result = json.loads((ROOT / "benchmarks" / "results" / "cpu.json").read_text(encoding="utf-8"))
    assert (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8") == page_text(result)
    assert [int(size) for size in result["sweeps"]["batch_tokens"]] == list(_BATCH_TOKENS)
    assert set(result["workloads"]) == {workload.name for workload in WORKLOADS}
