"""Every kind of input, through the real command: its own rows, labels and losses, or one line; never other rows."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle
from tests.inputs.case import ISSUE, NEWS, OWN, Input, Row, Scored, Stops, table
from tests.inputs.cases_annotations import ANNOTATIONS
from tests.inputs.cases_csv import CSV
from tests.inputs.cases_encodings import ENCODINGS
from tests.inputs.cases_folders import FOLDERS
from tests.inputs.cases_json import JSON
from tests.inputs.cases_labels import LABELS
from tests.inputs.cases_quotes import QUOTES
from tests.inputs.read import LONGEST, difference, message, rows_of, shards
from tests.support import ROOT
from tests.support.commands import Lossrank
from tests.support.tiny import CLASSES, make_bundle

INPUTS = [*QUOTES, *CSV, *ENCODINGS, *JSON, *LABELS, *FOLDERS, *ANNOTATIONS]
DEMO = ROOT / "cli" / "demo_files" / "bundle"
Losses = dict[tuple[str | None, str | None, str | None], float]
BundleOf = Callable[[tuple[str, ...]], Path]
LossesOf = Callable[[Input], Losses]


@pytest.fixture(scope="module")
def bundle_of(tmp_path_factory: pytest.TempPathFactory) -> BundleOf:
    """The bundle with some classes: the demo's, or a tiny one."""
    made: dict[tuple[str, ...], ModelBundle] = {}

    def bundle(classes: tuple[str, ...]) -> Path:
        if classes == CLASSES:
            return DEMO
        if classes not in made:
            made[classes] = make_bundle(tmp_path_factory.mktemp("tiny") / "bundle", classes)
        return made[classes].path

    return bundle


@pytest.fixture(scope="module")
def known_losses() -> dict[object, Losses]:
    """The losses that ``losses_of`` has computed, by classes and rows: many inputs have the same rows."""
    return {}


@pytest.fixture
def losses_of(
    bundle_of: BundleOf,
    known_losses: dict[object, Losses],
    lossrank: Lossrank,
    tmp_path_factory: pytest.TempPathFactory,
) -> LossesOf:
    """The loss of each text and label of an input, scored from a plain Parquet file."""

    def losses(case: Input) -> Losses:
        assert isinstance(case.expected, Scored)
        rows = tuple(row for row in case.expected.rows if row.status == "ok")
        if (case.classes, rows) not in known_losses:
            known_losses[case.classes, rows] = scored_plainly(case, rows) if rows else {}
        return known_losses[case.classes, rows]

    def scored_plainly(case: Input, rows: tuple[Row, ...]) -> Losses:
        folder = tmp_path_factory.mktemp("plain")
        columns = {"text": [row.text for row in rows], "label": [row.label for row in rows]}
        options = ["--text-column", "text", "--label-column", "label"]
        if paired := any(row.pair is not None for row in rows):
            columns["second"] = [row.pair for row in rows]
            options += ["--text-pair-column", "second"]
        pq.write_table(pa.table(columns), folder / "plain.parquet")
        done = lossrank(
            "score", bundle_of(case.classes), folder / "plain.parquet", "-o", folder / "run", "--threads", 1, *options
        )
        assert done.exit_code == 0, done.output
        scores = shards(folder / "run")
        assert scores["status"].to_pylist() == ["ok"] * len(rows)
        pairs = [row.pair if paired else None for row in rows]
        found = zip((row.text for row in rows), pairs, (row.label for row in rows), strict=True)
        return dict(zip(found, scores["loss"].to_pylist(), strict=True))

    return losses


def refuse_run(run: Path) -> None:
    """Check that there is no run, or one that says that it is not finished."""
    if (run / "run.json").exists():
        assert json.loads((run / "run.json").read_text()).get("summary") is None


@pytest.mark.parametrize("case", INPUTS, ids=lambda case: f"{case.file}: {case.name}")
def test_an_input_has_its_own_rows_or_one_line(
    case: Input, bundle_of: BundleOf, losses_of: LossesOf, lossrank: Lossrank, tmp_path: Path
) -> None:
    options = [option.format(folder=tmp_path) if "{folder}" in option else option for option in case.options]
    (tmp_path / "in").mkdir()
    data, run = case.write(tmp_path / "in"), tmp_path / "run"
    for name, _ in case.beside:
        (tmp_path / "in" / name).rename(tmp_path / name)
    result = lossrank("score", bundle_of(case.classes), data, "-o", run, "--threads", 1, *options)
    expected = case.expected
    if isinstance(expected, Scored) and result.exit_code and expected.stops is not None:
        expected = expected.stops
    if isinstance(expected, Stops):
        assert result.exit_code != 0, f"scored: {rows_of(run)[:3]}"
        refuse_run(run)
        said = message(result)
        assert len(said) <= LONGEST, said
        for part in expected.parts:
            assert part.lower() in said.lower(), said
        for part in expected.without:
            assert part not in said, said
        return
    assert result.exit_code == 0, result.stderr
    wrong = difference(rows_of(run), expected.rows)
    assert wrong is None, wrong
    losses = losses_of(case)
    for row, loss in zip(expected.rows, shards(run)["loss"].to_pylist(), strict=True):
        if row.status == "ok":
            assert loss == pytest.approx(losses[row.text, row.pair, row.label], abs=1e-5)
        else:
            assert loss is None
    for word in expected.says:
        assert word in result.stderr, result.stderr


def test_a_map_that_is_written_has_every_label_and_its_class_where_that_is_certain(
    lossrank: Lossrank, tmp_path: Path
) -> None:
    labels = ["world", "Sport", "BUSINESS", "Sci/Tech", "Sport"]
    (tmp_path / "news.csv").write_text(table([(text, label) for (text, _), label in zip(NEWS, labels, strict=False)]))
    options = ("-o", tmp_path / "run", "--write-label-map", tmp_path / "map.json")
    result = lossrank("score", DEMO, tmp_path / "news.csv", *options)
    assert result.exit_code == 0, result.output
    assert not (tmp_path / "run").exists()
    template = json.loads((tmp_path / "map.json").read_text())
    assert {label.casefold() for label in template} == {label.casefold() for label in labels}
    assert {label.casefold(): name for label, name in template.items() if name} == {
        "world": "World",
        "business": "Business",
        "sci/tech": "Sci/Tech",
    }
    said = message(lossrank("score", DEMO, tmp_path / "news.csv", *options[:2], "--label-map", tmp_path / "map.json"))
    assert "Sport" in said
    assert not (tmp_path / "run").exists()


def test_the_inputs_are_many_and_half_of_them_come_from_public_reports() -> None:
    assert len(INPUTS) >= 95
    assert sum(case.found not in (ISSUE, OWN) for case in INPUTS) >= 50
    assert len({case.name for case in INPUTS}) == len(INPUTS)
