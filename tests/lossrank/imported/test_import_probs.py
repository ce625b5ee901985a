"""import_probs: probabilities of any model become a run, with the numbers that the definitions give."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lossrank as lr
from scorer.data.source import Source
from scorer.pipeline import open_shard
from tests.lossrank.imported.helpers import ROWS, by_hand, imported, shard_bytes, some_probs, some_rows, write
from tests.support.tiny import CLASSES


@pytest.mark.parametrize("name", ["p.npy", "f.npy", "p.parquet", "p.csv", "p.jsonl", "array", "pandas"])
def test_the_scores_are_those_of_the_definitions(name: str, tmp_path: Path) -> None:
    rows, probs = some_rows(), some_probs()
    given: Any = {"array": probs, "pandas": None}.get(name, tmp_path / name)
    if name == "pandas":
        import pandas

        given = pandas.DataFrame(probs, columns=CLASSES)
    elif name != "array":
        write(probs, tmp_path / name)
    run = imported(rows, given, tmp_path / "run", shard_rows=400)
    table = run.to_arrow()
    labels = [CLASSES.index(label) for label in rows["label"].to_pylist()]
    for column, expected in by_hand(probs, labels).items():
        np.testing.assert_allclose(table[column].to_numpy(), expected, rtol=1e-5, atol=1e-6, err_msg=column)
    assert table["predicted"].to_pylist() == probs.argmax(axis=1).tolist()
    np.testing.assert_allclose(table["probs"].combine_chunks().flatten().to_numpy().reshape(probs.shape), probs, 1e-5)
    assert set(table["n_tokens"].to_pylist()) == {0}
    assert set(table["truncated"].to_pylist()) == {False}
    assert set(table["precision"].to_pylist()) == {"imported"}
    assert run.stats.by_status == {"ok": ROWS}
    assert run.stats.accuracy == pytest.approx(0.9)
    assert run.verify().complete


def test_logits_and_logarithms_give_the_run_of_their_probabilities(tmp_path: Path) -> None:
    rows, probs = some_rows(), some_probs()
    expected = imported(rows, probs, tmp_path / "probs").to_arrow()
    for name, numbers in (("logits", np.log(probs) + 7), ("logs", np.log(probs))):
        found = imported(rows, numbers, tmp_path / name, logits=True).to_arrow()
        np.testing.assert_allclose(found["loss"].to_numpy(), expected["loss"].to_numpy(), rtol=1e-6, atol=1e-7)
        assert found["predicted"] == expected["predicted"]


def test_a_row_that_is_no_probability_is_counted_and_others_keep_their_numbers(tmp_path: Path) -> None:
    rows, probs = some_rows(), some_probs()
    whole = imported(rows, probs, tmp_path / "whole").to_arrow()
    bad = {3: [np.nan, 0.5, 0.5], 4: [np.inf, 0, 0], 5: [1.2, -0.2, 0], 6: [0.3, 0.3, 0.3], 7: [0.5, 0.25, 0.2512]}
    assert probs.shape[1] >= 3
    for row, numbers in bad.items():
        probs[row] = 0
        probs[row, :3] = numbers
    probs[8] = probs[8] * 1.0009  # rounding is no fault, and the loss is that of the number as it is
    run = imported(rows, probs, tmp_path / "run")
    table = run.to_arrow()
    assert run.stats.by_status == {"ok": ROWS - 5, "bad_probs": 5}
    assert [i for i, status in enumerate(table["status"].to_pylist()) if status == "bad_probs"] == list(bad)
    for column in ("loss", "predicted", "entropy", "probs"):
        assert table[column].slice(3, 5).null_count == 5
    assert table["loss"].slice(9).equals(whole["loss"].slice(9))
    label = CLASSES.index(rows["label"][8].as_py())
    assert table["loss"][8].as_py() == pytest.approx(-np.log(probs[8, label]), rel=1e-6)
    assert run.verify().complete


def test_a_probability_of_0_has_the_loss_of_the_least_number_and_is_counted(tmp_path: Path) -> None:
    rows, probs = some_rows(), some_probs()
    for row in (11, 12):
        label = CLASSES.index(rows["label"][row].as_py())
        probs[row] = np.eye(len(CLASSES))[(label + 1) % len(CLASSES)]
    run = imported(rows, probs, tmp_path / "run", shard_rows=12)
    assert run.stats.zero_probs == 2
    assert [row.row for row in run.worst(2)] == [11, 12]
    assert run.worst(1)[0].loss == pytest.approx(-np.log(np.float64(np.finfo(np.float32).smallest_subnormal)))
    assert run.worst(1)[0].label_prob == 0.0
    assert run.verify().complete
    assert lr.open_run(run.path, data=rows).stats.zero_probs == 2


def test_rows_without_text_or_label_have_the_statuses_of_score(tmp_path: Path) -> None:
    rows = some_rows().to_pylist()
    rows[0]["text"], rows[1]["label"], rows[2]["label"] = None, None, "Cooking"
    run = imported(rows, some_probs(), tmp_path / "run")
    assert run.stats.by_status == {"ok": ROWS - 3, "no_label": 1, "unknown_label": 1, "no_text": 1}
    table = run.to_arrow()
    assert table["predicted"].slice(0, 3).is_valid().to_pylist() == [False, True, True]
    assert run.stats.unknown_labels == {"Cooking": 1}
    without = imported(rows, some_probs(), tmp_path / "none", no_label=True)
    assert without.stats.mean_loss is None
    assert len(without.worst(5, by="entropy")) == 5


@pytest.mark.parametrize("classes", ["names.txt", "names.json", "list"])
def test_class_names_come_from_a_list_or_a_file(classes: str, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("\n".join(CLASSES) + "\n")
    (tmp_path / "names.json").write_text(json.dumps(CLASSES))
    given = np.array(CLASSES) if classes == "list" else tmp_path / classes
    run = imported(some_rows(), some_probs(), tmp_path / "run", classes=given)
    assert run.class_names == tuple(CLASSES)


def test_columns_are_chosen_and_ordered_by_name(tmp_path: Path) -> None:
    rows, probs = some_rows(), some_probs()
    expected = imported(rows, probs, tmp_path / "array").to_arrow()
    names = [*reversed(CLASSES)]
    table = {"id": [str(row) for row in range(ROWS)], **{name: probs[:, CLASSES.index(name)] for name in names}}
    import pandas

    found = imported(rows, pandas.DataFrame(table), tmp_path / "run").to_arrow()
    assert found["loss"] == expected["loss"]
    renamed = pandas.DataFrame(probs, columns=[f"p{i}" for i in range(len(CLASSES))])
    assert imported(rows, renamed, tmp_path / "renamed").to_arrow()["loss"] == expected["loss"]


def test_an_interrupted_import_resumes_and_ends_byte_for_byte_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_FIRST", "_EVERY", "_SHARE"):
        monkeypatch.setattr(open_shard, name, 0)
    data, probs = tmp_path / "rows.parquet", write(some_probs(), tmp_path / "p.csv")
    pq.write_table(some_rows(), data)
    imported(data, probs, tmp_path / "whole", shard_rows=300)

    def stop(step: lr.Step) -> None:
        if step.done > 600:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imported(data, probs, tmp_path / "run", shard_rows=300, progress=stop)
    assert lr.status(tmp_path / "run").left > 0
    run = imported(data, probs, tmp_path / "run", shard_rows=300)
    assert run.stats.kept_rows >= 600
    assert shard_bytes(tmp_path / "run") == shard_bytes(tmp_path / "whole")
    assert imported(data, probs, tmp_path / "run", shard_rows=300).stats.kept_rows == ROWS


def test_only_a_window_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scorer.data import probabilities

    read: list[int] = []
    values = probabilities._NpyFile._values

    def counting(self: Any, first: int, count: int) -> Any:
        read.append(count)
        return values(self, first, count)

    monkeypatch.setattr(probabilities._NpyFile, "_values", counting)
    imported(some_rows(), write(some_probs(), tmp_path / "p.npy"), tmp_path / "run", shard_rows=100)
    assert max(read[1:]) == 100 * len(CLASSES)  # the first read looks at the first rows
    assert sum(read[1:]) == ROWS * len(CLASSES)


def test_a_file_that_changes_while_it_is_read_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(some_probs(), tmp_path / "p.npy")
    refuse = Source.refuse_change

    def rewriting(self: Source, *args: Any) -> None:
        write(some_probs(4), file)
        refuse(self, *args)

    monkeypatch.setattr(Source, "refuse_change", rewriting)
    with pytest.raises(lr.SourceError, match="has changed while it was being read"):
        imported(some_rows(), file, tmp_path / "run", shard_rows=300)
    assert lr.status(tmp_path / "run").state != "finished"


def test_of_many_classes_the_highest_are_kept(tmp_path: Path) -> None:
    classes = [f"class {i:03}" for i in range(300)]
    chosen = np.random.default_rng(5)
    probs = chosen.dirichlet(np.full(300, 0.1), size=6)
    labels = [int(i) for i in chosen.integers(0, 300, size=6)]
    table = pa.table({"text": [f"text {i}" for i in range(6)], "label": [classes[i] for i in labels]})
    some = lr.import_probs(table, probs, tmp_path / "some", classes=classes, progress=False).to_arrow()
    whole = lr.import_probs(table, probs, tmp_path / "all", classes=classes, all_probs=True, progress=False).to_arrow()
    assert some["loss"] == whole["loss"]
    assert np.allclose(some["loss"].to_numpy(), -np.log(probs[range(6), labels]))
    assert np.allclose(whole["probs"].to_pylist(), probs)
    for row, (kept, values) in enumerate(
        zip(*(some[name].to_pylist() for name in ("probs_class", "probs")), strict=True)
    ):
        highest = np.argsort(-probs[row], kind="stable")[:20].tolist()
        assert kept == highest + [label for label in labels[row : row + 1] if label not in highest]
        assert np.allclose(values, probs[row, kept])
