"""The commands on a run of imported probabilities; those that need a bundle say that it has none."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import lossrank as lr
from scorer import ModelBundle
from scorer.run.manifest import FORMAT, IMPORT_FORMAT
from tests.lossrank.imported.helpers import imported, some_probs, some_rows, write
from tests.support.commands import Lossrank, document, error_line
from tests.support.facts import facts, tells
from tests.support.tiny import CLASSES


@pytest.fixture
def made(tmp_path: Path) -> lr.Run:
    """A run of files."""
    pq.write_table(some_rows(), tmp_path / "rows.parquet")
    return imported(tmp_path / "rows.parquet", write(some_probs(), tmp_path / "p.npy"), tmp_path / "run")


def test_run_json_tells_where_the_probabilities_come_from(made: lr.Run, tmp_path: Path) -> None:
    from hashlib import sha256

    manifest = json.loads((made.path / "run.json").read_text())
    assert manifest["format"] == IMPORT_FORMAT > FORMAT  # older versions say that they are too old
    assert "bundle" not in manifest
    assert manifest["imported"] == {
        "path": str(tmp_path / "p.npy"),
        "sha256": sha256((tmp_path / "p.npy").read_bytes()).hexdigest(),
        "model": "probabilities of p.npy",
        "logits": False,
        "class_names": list(CLASSES),
    }
    manifest["imported"] = None
    (made.path / "run.json").write_text(json.dumps(manifest))
    with pytest.raises(lr.RunError, match=facts("bundle", "missing")):
        lr.open_run(made.path)


def test_a_person_ranks_decides_and_applies(made: lr.Run, lossrank: Lossrank, tmp_path: Path) -> None:
    worst = document(lossrank("rank", made.path, "--top", 7, "--json"))["rows"]
    losses = -np.log(some_probs())[range(1000), [CLASSES.index(label) for label in some_rows()["label"].to_pylist()]]
    assert [row["row"] for row in worst] == np.argsort(-losses)[:7].tolist()
    assert worst[0]["source"]["text"] == f"text {worst[0]['row']}"
    made.decide({worst[0]["row"]: worst[0]["predicted_name"], worst[1]["row"]: lr.KEEP}, annotator="ann")
    assert lossrank("log", made.path, "--to", "csv", "-o", tmp_path / "worst.csv").exit_code == 0
    assert len((tmp_path / "worst.csv").read_text().splitlines()) == 501
    assert lossrank("apply", made.path, "-o", tmp_path / "out").exit_code == 0
    corrected = pq.read_table(next((tmp_path / "out" / "data").iterdir()))
    assert corrected["label"][worst[0]["row"]].as_py() == worst[0]["predicted_name"]
    card = (tmp_path / "out" / "README.md").read_text()
    assert made.directory.manifest.origin.sha256 in card
    assert "bundle" not in card
    other = imported(tmp_path / "rows.parquet", some_probs(9), tmp_path / "other", model="svm")
    changes = lr.diff(made, other, top=50)
    assert any(tells(note, "probabilities of p.npy", "svm") for note in changes.notes)


def test_a_report_has_no_tokens_and_no_bundle(made: lr.Run, lossrank: Lossrank, tmp_path: Path) -> None:
    for name in ("r.html", "r.md", "r.json"):
        assert lossrank("report", made.path, "-o", tmp_path / name).exit_code == 0
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["model"] == "probabilities of p.npy"
    assert found["truncated"] is None
    assert found["how"]["bundle_sha256"] is None
    assert found["how"]["imported_sha256"] == made.directory.manifest.origin.sha256
    for name in ("r.html", "r.md"):
        text = (tmp_path / name).read_text()
        assert found["how"]["imported_sha256"] in text
        assert "the model's input was padding" not in text
        assert "truncated" not in text
        assert str(tmp_path) not in text


def test_the_review_page_shows_the_worst_row(made: lr.Run) -> None:
    import httpx

    page = made.review(user="ann")
    try:
        shown = httpx.get(page.url, follow_redirects=True)
        assert shown.status_code == 200
        assert f"text {made.worst(1)[0].row}" in shown.text
    finally:
        page.stop()


def test_verify_compares_the_file(made: lr.Run, lossrank: Lossrank, tmp_path: Path) -> None:
    assert lossrank("verify", made.path).exit_code == 0
    assert tells(error_line(lossrank("verify", made.path, "--bundle", tmp_path)), "no bundle", "imported")
    write(some_probs(8), tmp_path / "p.npy")
    assert [(f.what, f.state) for f in made.verify().findings if f.state != "ok"] == [("probabilities", "wrong")]
    (tmp_path / "p.npy").unlink()
    gone = made.verify()
    assert gone.complete
    assert [(f.what, f.state) for f in gone.findings if f.state != "ok"] == [("probabilities", "absent")]
    in_memory = imported(some_rows(), some_probs(), tmp_path / "memory").verify()
    assert [f.state for f in in_memory.findings if f.what == "probabilities"] == ["absent"]


def test_no_command_replaces_the_file(made: lr.Run, lossrank: Lossrank, tmp_path: Path) -> None:
    before = (tmp_path / "p.npy").read_bytes()
    for command in (("report", made.path, "--format", "html"), ("log", made.path, "--to", "csv")):
        result = lossrank(*command, "-o", tmp_path / "p.npy", "--force")
        assert tells(error_line(result), "p.npy", "imported"), command
    assert (tmp_path / "p.npy").read_bytes() == before
    table = imported(tmp_path / "rows.parquet", write(some_probs(), tmp_path / "p.csv"), tmp_path / "table")
    assert tells(error_line(lossrank("rank", table.path, "-o", tmp_path / "p.csv", "--force")), "p.csv", "imported")


def test_a_model_does_not_go_on_with_it(made: lr.Run, tiny_bundle: ModelBundle, tmp_path: Path) -> None:
    data = tmp_path / "rows.parquet"
    before = (made.path / "run.json").read_bytes()
    with pytest.raises(lr.RunError, match=facts("run", "no bundle", "overwrite=True")):
        lr.score(tiny_bundle, data, made.path, progress=False)
    with pytest.raises(lr.RunError, match=facts("run", "no bundle", "reuse")):
        lr.score(tiny_bundle, data, tmp_path / "new", reuse=made, progress=False)
    assert (made.path / "run.json").read_bytes() == before
    scored = lr.score(tiny_bundle, data, tmp_path / "scored", progress=False)
    with pytest.raises(lr.RunError, match=facts("scored", "bundle", "overwrite=True")):
        imported(data, tmp_path / "p.npy", scored.path)
    assert lr.diff(made, scored).notes


def test_other_numbers_or_names_do_not_go_on_with_it(made: lr.Run, tmp_path: Path) -> None:
    data, file = tmp_path / "rows.parquet", tmp_path / "p.npy"
    shutil.copy(file, tmp_path / "moved.npy")
    assert imported(data, tmp_path / "moved.npy", made.path).stats.kept_rows == 1000
    with pytest.raises(lr.RunError, match=facts("imported sha256")):
        imported(data, some_probs(5), made.path)
    with pytest.raises(lr.RunError, match=facts("class_names")):
        imported(data, file, made.path, classes=[*CLASSES[:3], "Science"], label_map={"Sci/Tech": "Science"})
    made.decide({3: lr.KEEP}, annotator="ann")
    again = imported(data, some_probs(5), made.path, overwrite=True)
    assert [decision.row for decision in again.decisions()] == [3]
    assert len(list(tmp_path.glob("run.before-*"))) == 1


def test_a_label_map_is_written_filled_in_and_used(tmp_path: Path, lossrank: Lossrank) -> None:
    words = {name: f"topic {at}" for at, name in enumerate(CLASSES)}
    pq.write_table(some_rows([words[name] for name in some_rows()["label"].to_pylist()]), tmp_path / "rows.parquet")
    file, labels = write(some_probs(), tmp_path / "p.parquet"), tmp_path / "map.json"
    arguments = ("import-probs", tmp_path / "rows.parquet", file, "-o", tmp_path / "run")
    assert tells(error_line(lossrank(*arguments)), "'topic 0'", "--label-map", "--write-label-map")
    found = document(lossrank(*arguments, "--write-label-map", labels, "--json"))
    assert found["open"] == list(words.values())
    assert not (tmp_path / "run").exists()
    labels.write_text(json.dumps({word: name for name, word in words.items()}))
    assert document(lossrank(*arguments, "--label-map", labels, "--json"))["accuracy"] == pytest.approx(0.9)


def test_the_commands_words(tmp_path: Path, lossrank: Lossrank) -> None:
    pq.write_table(some_rows(), tmp_path / "rows.parquet")
    probs = some_probs()
    probs[0, :] = (0.0, 0.0, 0.0, 1.0)
    file = write(probs, tmp_path / "p.npy")
    arguments = ("import-probs", tmp_path / "rows.parquet", file, "-o", tmp_path / "run")
    assert tells(error_line(lossrank(*arguments)), "--classes", 4)
    done = lossrank(*arguments, "--classes", ", ".join(CLASSES), "--log-file", tmp_path / "log.jsonl")
    assert done.exit_code == 0
    assert "probability 0" in done.stdout
    assert "tokens" not in done.stdout
    assert "text (guessed)" in done.stderr
    events = [json.loads(line)["event"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert (events[:2], events[-1]) == (["start", "plan"], "end")
    failed = lossrank(*arguments, "--classes", ",".join(CLASSES), "--fail-if", "accuracy < 0.99")
    assert failed.exit_code == 3
    beside = tmp_path / "p.npy"
    assert lossrank(*arguments, "--classes", ",".join(CLASSES), "--log-file", beside).exit_code == 1
