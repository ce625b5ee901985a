"""--write-label-map, --no-label, --no-label-value: what the user types for labels that don't match."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle
from tests.support.commands import Lossrank, document, error_line
from tests.support.facts import tells
from tests.support.publishing import with_features
from tests.support.tiny import make_bundle


def write(file: Path, labels: list[object]) -> Path:
    pq.write_table(pa.table({"text": [f"w{i % 60}" for i in range(len(labels))], "label": labels}), file)
    return file


def test_a_label_map_is_written_filled_in_and_used(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    data = write(tmp_path / "data.parquet", ["world news", "sports", "SCI-TECH", "money", None, "NaN"] * 20)
    map_file = tmp_path / "map.json"
    score = ["score", tiny_bundle.path, data, "-o", tmp_path / "run"]
    assert tells(error_line(lossrank(*score)), "'money'", "'world news'", "--write-label-map")
    made = lossrank(*score, "--write-label-map", map_file)
    assert made.exit_code == 0
    assert made.output == (
        f'{map_file}: 4 labels, 2 with their class; write the class of the 2 labels with "", or null to leave their '
        f"rows out, and then score with --label-map {map_file}\n"
    )
    assert not (tmp_path / "run").exists()
    mapping = json.loads(map_file.read_text())
    assert mapping == {"SCI-TECH": "Sci/Tech", "money": "", "sports": "Sports", "world news": ""}
    assert tells(error_line(lossrank(*score, "--label-map", map_file)), "'money'", "'World', 'Sports'", "null")
    assert tells(error_line(lossrank(*score, "--write-label-map", map_file)), map_file, "exists", "--write-label-map")
    map_file.write_text(json.dumps({**mapping, "money": "Business", "world news": None}))
    done = document(lossrank(*score, "--label-map", map_file, "--json"))
    assert done["by_status"] == {"ok": 60, "no_label": 40, "unknown_label": 20}


def test_what_was_filled_in_is_kept_where_labels_were_added(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    data = write(tmp_path / "data.parquet", [10, 9, 2, 2.0, -1, 10])
    old = tmp_path / "old.json"
    old.write_text('{"2": "World", "9": null}')
    arguments = ["score", tiny_bundle.path, data, "-o", tmp_path / "run", "--label-map", old]
    assert tells(error_line(lossrank(*arguments)), "2 label(s)", "3 rows", "'10'", "'-1'")
    made = document(lossrank(*arguments, "--write-label-map", tmp_path / "new.json", "--json"))
    assert made["label_map"] == {"-1": "", "2": "World", "9": None, "10": ""}
    assert made["open"] == ["-1", "10"]
    made = document(lossrank(*arguments, "--no-label-value", "-1", "--write-label-map", tmp_path / "3.json", "--json"))
    assert made["open"] == ["10"]


def test_the_names_of_a_class_label_are_its_labels(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path
) -> None:
    table = pa.table({"text": ["w1", "w2"], "label": [0, 1]})
    pq.write_table(with_features(table, label=("Sport", "world.")), tmp_path / "data.parquet")
    score = ["score", tiny_bundle.path, tmp_path / "data.parquet", "-o", tmp_path / "run"]
    assert tells(error_line(lossrank(*score)), "lacks 'Sport', 'world.'", "--write-label-map")
    made = document(lossrank(*score, "--write-label-map", tmp_path / "map.json", "--json"))
    assert made["label_map"] == {"Sport": "", "world.": "World"}


@pytest.mark.parametrize("labels", [[None, "", "NaN"], None])
def test_without_labels_there_is_no_map_to_write(
    lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path, labels: list[object] | None
) -> None:
    data = tmp_path / "data.parquet"
    write(data, labels) if labels else pq.write_table(pa.table({"text": ["w1"]}), data)
    score = ["score", tiny_bundle.path, data, "-o", tmp_path / "run", "--write-label-map", tmp_path / "map.json"]
    assert tells(error_line(lossrank(*score)), "a label map needs labels", "--label-column")
    assert not (tmp_path / "map.json").exists()


def test_minus_one_is_asked_for_and_said(lossrank: Lossrank, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", ("NEGATIVE", "POSITIVE")).path
    data = write(tmp_path / "data.parquet", [1, -1] * 30)
    score = ["score", bundle, data, "-o", tmp_path / "run"]
    assert tells(error_line(lossrank(*score)), "-1 may be a class", "--no-label-value -1", "--label-map")
    assert document(lossrank(*score, "--no-label-value", "-1", "--json"))["by_status"] == {"no_label": 30, "ok": 30}
    glue = write(tmp_path / "glue.parquet", [0, 1, -1] * 20)
    said = lossrank("score", bundle, glue, "-o", tmp_path / "glue")
    assert said.exit_code == 0
    assert "-1 is read as no label (20 rows)" in said.stderr


def test_no_label_is_said_as_asked(lossrank: Lossrank, tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    data = write(tmp_path / "data.parquet", ["Cats", "Dogs"])
    said = lossrank("score", tiny_bundle.path, data, "-o", tmp_path / "run", "--no-label")
    assert said.exit_code == 0
    assert "label    NONE, as asked" in said.stderr
    wrong = lossrank("score", tiny_bundle.path, data, "-o", tmp_path / "run", "--no-label", "--label-column", "label")
    assert tells(error_line(wrong), "--no-label", "--label-column")
