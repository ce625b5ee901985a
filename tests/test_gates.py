"""Gates: `--fail-if` compares strictly, names what it knows, and fails with 3."""

import re
from pathlib import Path
from typing import Any

import pytest

from scorer import RunError
from scorer.gates import NAMES, NUMBERS, Gate, failures

SUMMARY: dict[str, Any] = {
    "rows": 200,
    "kept_rows": 100,
    "by_status": {"ok": 190, "no_text": 10},
    "mean_loss": 0.5,
    "accuracy": 0.9,
    "truncated": 4,
    "duplicates": 0,
    "tokens": 1000,
    "padding": 0.02,
    "peak_memory_bytes": 10**8,
    "seconds": {"total": 2.0},
}


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
    assert failures([Gate.parse(f"mean_loss {op} 1")], SUMMARY | {"mean_loss": None}) == [
        f"mean_loss {op} 1: the run has no mean_loss, as no row has a label"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "mean_los > 1",
            r"no known name \(did you mean 'mean_loss'\?\); names: rows, mean_loss, .*bad_logits, no_memory$",
        ),
        ("mean_loss", "must be NAME OP NUMBER, such as 'mean_loss > 0.5'; names: rows"),
        ("", "must be NAME OP NUMBER"),
        ("0.5 < mean_loss", "must be NAME OP NUMBER"),
        ("mean_loss > 1 or 1", "must be NAME OP NUMBER"),
        ("mean_loss => 1", "has the operator '=>'; it must be one of: <= >= == != < >"),
        ("mean_loss = 1", "has the operator '='"),
        ("mean_loss > much", "compares with 'much'; it must be a number such as 0.5"),
        ("mean_loss > nan", "compares with 'nan'"),
        ("mean_loss > inf", "compares with 'inf'"),
        ("mean_loss > __import__('os')", "compares with"),
    ],
)
def test_what_is_no_gate_is_named(text: str, message: str) -> None:
    with pytest.raises(RunError, match=message):
        Gate.parse(text)


def test_every_status_and_number_that_the_docs_name_is_a_gate() -> None:
    root = Path(__file__).parents[1]
    table = re.search(r"\| status \| the row \|\n.*?\n\n", (root / "docs" / "design.md").read_text(), re.DOTALL)
    assert table is not None
    statuses = {name for row in table[0].strip().splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert statuses == set(NAMES) - set(NUMBERS)


def test_a_gate_is_written_as_it_was_given() -> None:
    for text in ("mean_loss > 0.2", "rows >= 1000000", "no_text <= 1e-09"):
        assert str(Gate.parse(text)) == text
