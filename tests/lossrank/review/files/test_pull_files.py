"""`lossrank pull` from several files, and what it says of decisions that are not there any more."""

import contextlib
import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from lossrank.review.records import record_id
from lossrank.review.store import DecisionStore, read_decisions
from scorer import RunDirectory
from scorer.audit.given import given_labels
from tests.support.commands import Lossrank, error_line
from tests.support.facts import counts, tells


def write(run: RunDirectory, file: Path, *words: str, annotator: str = "") -> Path:
    """Write a file of decisions on the first rows."""
    ids = [record_id(run.data_fingerprint, row) for row in range(len(words))]
    file.parent.mkdir(exist_ok=True)
    if file.suffix == ".csv":
        lines = [f"{id},{word},{annotator}\n" for id, word in zip(ids, words, strict=True)]
        file.write_text("record_id,decision,annotator\n" + "".join(lines))
        return file
    made = [
        {"record_id": id, "decision": word, "annotator": annotator, "label": [word] if word else []}
        for id, word in zip(ids, words, strict=True)
    ]
    content = "".join(json.dumps(line) + "\n" for line in made)
    if file.suffix == ".zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("all.jsonl", content)
    else:
        file.write_text(content)
    return file


def held(run: RunDirectory) -> dict[int, tuple[str, str | None, str]]:
    with DecisionStore(run) as store:
        return {row: (one.verdict, one.label, one.annotator) for row, one in store.current().items()}


# Several files


@pytest.mark.parametrize("ending", ["csv", "jsonl", "zip"])
def test_several_peoples_files_are_judged_by_one_policy(
    fresh: RunDirectory, lossrank: Lossrank, tmp_path: Path, ending: str
) -> None:
    files = [
        write(fresh, tmp_path / f"ana.{ending}", "discard", "discard", "discard"),
        write(fresh, tmp_path / f"ben.{ending}", "discard", "discard", ""),
        write(fresh, tmp_path / f"cy.{ending}", "discard", "", ""),
    ]
    sports = [write(fresh, tmp_path / f"dan.{ending}", "Sports", "Sports", "Sports")]
    result = lossrank("pull", fresh.path, *files, *sports)
    assert counts(result.stdout) == [9, 0, 0, 2, 2]  # answers, kept, relabelled, discarded, new
    assert counts(result.stderr) == [1, 2]  # one row is open: row 2
    assert held(fresh) == {0: ("discarded", None, "ana; ben; cy"), 1: ("discarded", None, "ana; ben")}
    assert counts(lossrank("pull", fresh.path, *files, *sports).stdout) == [9, 0, 0, 2, 0]
    assert lossrank("pull", fresh.path, *files, "--policy", "user=ben").exit_code == 0
    assert held(fresh)[1] == ("discarded", None, "ben")


def test_a_name_in_the_file_goes_before_the_files_own(fresh: RunDirectory, lossrank: Lossrank, tmp_path: Path) -> None:
    one = write(fresh, tmp_path / "a.csv", "discard", annotator="ana")
    other = write(fresh, tmp_path / "b.csv", "Sports", annotator="ana")
    os.utime(one, (1_600_000_000, 1_600_000_000))
    os.utime(other, (1_500_000_000, 1_500_000_000))
    assert counts(lossrank("pull", fresh.path, one, other).stdout)[:4] == [2, 0, 0, 1]
    assert held(fresh) == {0: ("discarded", None, "ana")}


def test_files_of_other_data_are_counted_together(fresh: RunDirectory, lossrank: Lossrank, tmp_path: Path) -> None:
    files = [write(fresh, tmp_path / name, "discard") for name in ("ana.csv", "ben.csv")]
    for file in files:
        file.write_text(file.read_text() + "0123456789ab-000000001,discard,\n")
    result = lossrank("pull", fresh.path, *files, "--json")
    assert (result.exit_code, json.loads(result.stdout)["foreign"]) == (3, 2)


def test_of_several_files_with_a_bad_one_nothing_is_pulled(
    fresh: RunDirectory, lossrank: Lossrank, tmp_path: Path
) -> None:
    good, bad = write(fresh, tmp_path / "ana.csv", "discard"), write(fresh, tmp_path / "ben.csv", "Sprots")
    result = lossrank("pull", fresh.path, good, bad)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert tells(result.stderr, "Error", bad, "line 2", "'Sprots'")
    assert held(fresh) == {}


def test_files_of_one_name_or_of_two_kinds_are_refused(fresh: RunDirectory, lossrank: Lossrank, tmp_path: Path) -> None:
    one, other = (write(fresh, tmp_path / folder / "worst.csv", "discard") for folder in ("ana", "ben"))
    lines = write(fresh, tmp_path / "cy.jsonl", "discard")
    named = lossrank("pull", fresh.path, one, other)
    assert tells(error_line(named), one, other, "have the same name")
    mixed = lossrank("pull", fresh.path, one, lines)
    assert tells(error_line(mixed), one, lines, "csv", "jsonl", "--from")
    assert named.exit_code == mixed.exit_code == 1
    assert held(fresh) == {}


# What is not there any more


@pytest.mark.parametrize("ending", ["csv", "jsonl", "zip"])
def test_a_decision_that_was_emptied_is_counted_and_holds(
    fresh: RunDirectory, lossrank: Lossrank, tmp_path: Path, ending: str
) -> None:
    file = write(fresh, tmp_path / f"worst.{ending}", "discard", "discard", "discard", "")
    assert lossrank("pull", fresh.path, file).stderr == ""
    with DecisionStore(fresh) as store:
        store.decide(1, "kept", annotator="me")
    write(fresh, file, "", "", "discard", "")
    result = lossrank("pull", fresh.path, file)
    kind = {"zip": "doccano"}.get(ending, ending)
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert (counts(line), tells(line, kind)) == ([1], True)
    assert json.loads(lossrank("pull", fresh.path, file, "--json").stdout)["withdrawn"] == 1
    assert held(fresh)[0] == ("discarded", None, "worst")


def test_a_row_that_one_of_several_files_decides_is_not_emptied(
    fresh: RunDirectory, lossrank: Lossrank, tmp_path: Path
) -> None:
    files = [write(fresh, tmp_path / name, "discard", "discard") for name in ("ana.csv", "ben.csv")]
    lossrank("pull", fresh.path, *files)
    write(fresh, files[1], "", "")
    assert lossrank("pull", fresh.path, *files).stderr == ""
    write(fresh, files[0], "", "discard")
    (line,) = lossrank("pull", fresh.path, *files).stderr.splitlines()
    assert (counts(line), tells(line, "csv")) == ([1], True)


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_what_was_kept_of_other_labels_is_not_kept_of_these(
    fresh: RunDirectory, lossrank: Lossrank, tmp_path: Path, ending: str
) -> None:
    """Two runs over one file, by two of its columns, have the same record ids."""
    file = tmp_path / f"reviewed.{ending}"
    (given,) = given_labels(fresh, [1]).values()
    other = next(name for name in fresh.class_names if name != given)

    def write(shown: str, word: str) -> None:
        record = {"record_id": record_id(fresh.data_fingerprint, 1), "given": shown, "decision": word}
        csv = f"{','.join(record)}\n{','.join(record.values())}\n"
        file.write_text(csv if ending == "csv" else json.dumps(record) + "\n")

    write(other, "keep")
    line = f"line {2 if ending == 'csv' else 1}"
    said = error_line(lossrank("pull", fresh.path, file))
    assert tells(said, file, line, repr(other), "row 1", fresh.path, repr(given))
    assert read_decisions(fresh) in (None, {})
    for shown, word, verdict in ((other, other, "relabelled"), (str(given), "keep", "kept"), ("?", "keep", "kept")):
        write(shown, word)
        assert json.loads(lossrank("pull", fresh.path, file, "--json").stdout)[verdict] == 1


def test_a_full_disk_is_named_and_loses_no_decision(
    fresh: RunDirectory, lossrank: Lossrank, tmp_path: Path, small_disk: Path
) -> None:
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    run = RunDirectory.read(Path(shutil.copytree(fresh.path, small_disk / "run")))
    assert lossrank("pull", run.path, write(run, tmp_path / "ana.csv", "discard")).exit_code == 0
    filler = small_disk / "filler"
    with filler.open("ab", buffering=0) as stream, contextlib.suppress(OSError):
        while stream.write(b"x" * 4096):
            pass
    many = write(run, tmp_path / "ben.csv", *["keep", "Sports"] * 500)
    full = lossrank("pull", run.path, many)
    assert full.exit_code == 1
    assert tells(error_line(full), "review.sqlite", "disk")
    filler.unlink()
    assert held(run) == {0: ("discarded", None, "ana")}
    assert lossrank("pull", run.path, many).exit_code == 0
    assert len(held(run)) == 1000
