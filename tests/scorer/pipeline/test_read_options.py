"""The options for reading files belong to a run: other rows of the same bytes are other data, the same rows are not."""

from pathlib import Path

import numpy as np
import pytest

import lossrank as lr
from scorer import ModelBundle, open_source
from scorer.run.directory import RunDirectory
from scorer.run.reopened import reopen_data
from tests.support.facts import facts

SWALLOWING = 'text,label\n"w1,World\nw2,Sports\nw3",World\nw4,Sports\n'


def test_other_rows_of_the_same_bytes_are_other_data(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(SWALLOWING)
    run = lr.score(tiny_bundle, tmp_path / "a.csv", tmp_path / "run", quoting="none", progress=False)
    assert run.rows == 4
    with pytest.raises(lr.RunError, match=facts("4 rows in the run, 2 now")):
        lr.score(tiny_bundle, tmp_path / "a.csv", tmp_path / "run", quoting="minimal", progress=False)
    texts = reopen_data(RunDirectory.open(tmp_path / "run")).take(np.arange(4), ["text"])["text"].to_pylist()
    assert texts == ['"w1', "w2", 'w3"', "w4"]
    assert lr.verify(tmp_path / "run").complete


def test_the_same_rows_are_the_same_data(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text;label\nw1;World\nw2;Sports\n")
    lr.score(tiny_bundle, tmp_path / "a.csv", tmp_path / "run", progress=False)
    again = lr.score(tiny_bundle, tmp_path / "a.csv", tmp_path / "run", delimiter=";", progress=False)
    assert again.stats.kept_rows == 2


def test_a_run_of_an_older_version_that_read_other_rows_is_not_joined(tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\nw1,World\nw2,Sports\nw3,World\n")
    lr.score(tiny_bundle, tmp_path / "a.csv", tmp_path / "run", progress=False)
    manifest = (tmp_path / "run" / "run.json").read_text()
    assert '"rows": 3' in manifest
    run = RunDirectory.open(tmp_path / "run")
    (tmp_path / "a.csv").write_text("text,label\nw1,World\nw2,Sports\n")
    fingerprint = open_source(tmp_path / "a.csv").fingerprint
    text = manifest.replace(run.data_fingerprint, fingerprint)
    (tmp_path / "run" / "run.json").write_text(text)
    with pytest.raises(lr.SourceError, match=facts("2 rows", "3")):
        reopen_data(RunDirectory.open(tmp_path / "run"))
