"""Gates: `--fail-if` compares strictly, names what it knows, and fails with 3."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import click.testing
import pytest
from msgspec.structs import replace

from scorer import ModelBundle, RunError
from scorer.audit.gates import NAMES, NUMBERS, Gate, failures
from scorer.run.manifest import RunStats
from tests.support import ROOT
from tests.support.facts import facts, tells

Lossrank = Callable[..., click.testing.Result]
SUMMARY = RunStats(
    rows=200,
    kept_rows=100,
    by_status={"ok": 190, "no_text": 10},
    mean_loss=0.5,
    accuracy=0.9,
    truncated=4,
    duplicates=0,
    tokens=1000,
    padding=0.02,
    peak_memory_bytes=10**8,
    seconds={"total": 2.0},
    by_precision={"fp32": 190},
    screen=None,
    model_share=0.5,
    unknown_labels={},
    problems=[],
)


@pytest.mark.parametrize(
    ("gate", "fails"),
    [
        ("mean_loss > 0.5", False),
        ("mean_loss>=0.5", True),
        ("mean_loss == 5e-1", True),
        ("mean_loss != 0.5", False),
        ("accuracy < 0.95", True),
        ("accuracy <= .9", True),
        ("  rows<+300 ", True),
        ("truncated > 3", True),
        ("truncated_share > 0.02", False),
        ("truncated_share >= 0.02", True),
        ("no_text > 0.04", True),
        ("no_text > 0.05", False),
        ("unreadable > 0", False),
        ("ok < 1", True),
        ("rows_per_second < 51", True),
        ("padding > -1", True),
        ("rows == 2.E+2", True),
    ],
)
def test_a_gate_compares(gate: str, fails: bool) -> None:
    assert bool(Gate.parse(gate).failure(SUMMARY)) == fails


def test_every_name_has_a_number() -> None:
    for name in NAMES:
        assert Gate.parse(f"{name} > -1").failure(SUMMARY)


def test_a_failure_says_the_number() -> None:
    gates = [Gate.parse("mean_loss > 0.25"), Gate.parse("rows > 1000"), Gate.parse("no_text > 0.01")]
    assert failures(gates, SUMMARY) == ["mean_loss > 0.25: mean_loss is 0.5", "no_text > 0.01: no_text is 0.05"]


@pytest.mark.parametrize("op", ["<", "<=", ">", ">=", "==", "!="])
def test_a_number_that_there_is_none_of_fails(op: str) -> None:
    unknown = replace(SUMMARY, mean_loss=None, by_status={"unknown_label": 190, "no_text": 10})
    (failed,) = failures([Gate.parse(f"mean_loss {op} 1")], unknown)
    assert tells(failed, f"mean_loss {op} 1", "unknown_label 190", "no_text 10")
    (failed,) = failures([Gate.parse(f"rows_per_second {op} 1")], replace(SUMMARY, kept_rows=200))
    assert tells(failed, f"rows_per_second {op} 1", "not measured")


def test_a_rate_is_of_the_process_that_scored(
    lossrank: Lossrank, data: Path, tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    command = "score", tiny_bundle.path, data, "-o", tmp_path / "run", "--fail-if", "rows_per_second < 1e-9"
    assert lossrank(*command).exit_code == 0
    again = lossrank(*command)
    assert again.exit_code == 3
    assert tells(again.stderr, "gate", "rows_per_second < 1e-09", "not measured")
    assert json.loads(lossrank(*command, "--json").stdout)["rows_per_second"] is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("mean_los > 1", ["'mean_los'", "did you mean 'mean_loss'?", *NAMES]),
        ("mean_loss", ["NAME OP NUMBER", *NAMES]),
        ("", ["NAME OP NUMBER"]),
        ("0.5 < mean_loss", ["NAME OP NUMBER"]),
        ("mean_loss > 1 or 1", ["NAME OP NUMBER"]),
        ("mean_loss => 1", ["'=>'", "<= >= == != < >"]),
        ("mean_loss = 1", ["'='", "<= >= == != < >"]),
        ("rows < 1_000", ["'1_000'", "number"]),
        ("rows < \u0661\u0660", ["'\u0661\u0660'", "number"]),
        ("mean_loss > 1e999", ["'1e999'", "number"]),
        ("mean_loss > .", ["'.'", "number"]),
        ("mean_loss > 0x10", ["'0x10'", "number"]),
        ("mean_loss > much", ["'much'", "number"]),
        ("mean_loss > nan", ["'nan'", "number"]),
        ("mean_loss > inf", ["'inf'", "number"]),
        ("mean_loss > __import__('os')", ["number"]),
    ],
)
def test_what_is_no_gate_is_named(text: str, named: list[str]) -> None:
    with pytest.raises(RunError, match=facts(repr(text), *named)):
        Gate.parse(text)


def test_every_status_and_number_that_the_docs_name_is_a_gate() -> None:
    root = ROOT
    table = re.search(r"\| status \| the row \|\n.*?\n\n", (root / "docs" / "design.md").read_text(), re.DOTALL)
    assert table is not None
    statuses = {name for row in table[0].strip().splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert statuses == set(NAMES) - set(NUMBERS)


def test_a_gate_is_written_as_it_was_given() -> None:
    for text in ("mean_loss > 0.2", "rows >= 1000000", "no_text <= 1e-09"):
        assert str(Gate.parse(text)) == text
