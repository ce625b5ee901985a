"""verify(): whatever is damaged in a run is found, and the advice mends it."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click.testing
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import ModelBundle, RunDirectory, RunError, ScoreOptions, score_dataset
from scorer.audit.verify import verify
from scorer.pipeline.summary import OF_THE_PROCESS
from scorer.run.integrity import require_whole
from scorer.run.shard_file import RESCORE
from tests.scorer.audit.verify.damage import OPTIONS, edit, flip, relist, says, shard, states, truncate
from tests.support.facts import facts, tells
from tests.support.tiny import make_bundle, weights

Lossrank = Callable[..., click.testing.Result]


def remove(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [(truncate, "SHA-256"), (flip, "SHA-256"), (remove, "missing")],
)
def test_a_damaged_shard_is_found_and_scored_again(
    run: Path, bundle: ModelBundle, data: Path, damage: Callable[[Path], None], message: str
) -> None:
    whole = {file.name: file.read_bytes() for file in (run / "scores").iterdir()}
    damage(shard(run))
    found = verify(run)
    assert not found.sound
    assert states(found)["part-00001.parquet"] == "wrong"
    assert message in says(found, "part-00001.parquet")
    assert RESCORE in says(found, "part-00001.parquet")
    assert tells(says(found, "shards"), "3 of 4")
    assert score_dataset(bundle, data, run, OPTIONS).kept_rows == 700
    assert verify(run).complete
    assert {file.name: file.read_bytes() for file in (run / "scores").iterdir()} == whole


def test_rows_twice_missing_or_in_another_order_are_found(run: Path, bundle: ModelBundle, data: Path) -> None:
    table = pq.read_table(shard(run))
    for wrong, message in (
        (table.take(list(range(299, -1, -1))), "rows from 300 in order"),
        (pa.concat_tables([table.slice(0, 299), table.slice(0, 1)]), "rows from 300 in order"),
        (table.slice(0, 299), "ends with row 598, not 599"),
        (pa.concat_tables([table, pq.read_table(shard(run, 2)).slice(0, 1)]), "ends with row 600, not 599"),
        (table.drop_columns(["row"]), "columns and classes"),
        (table.replace_schema_metadata({"class_names": '["b", "a"]'}), "columns and classes"),
    ):
        relist(run, 1, wrong)
        found = says(verify(run), "part-00001.parquet")
        assert message in found
        assert "remove it" in found
    shard(run).unlink()
    score_dataset(bundle, data, run, OPTIONS)
    assert verify(run).complete


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (pa.ArrowNotImplementedError("Support for codec 'snappy' not built"), "verify again"),
        (PermissionError(13, "Permission denied"), "verify again"),
        (OSError(5, "Error reading bytes from file"), "verify again"),
        (pa.ArrowInvalid("Parquet magic bytes not found"), "remove it"),
        (OSError("Couldn't deserialize thrift"), "remove it"),
    ],
)
def test_only_a_shard_whose_content_is_at_fault_is_to_be_removed(
    run: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, advice: str
) -> None:
    def fail(file: object) -> None:
        raise error

    monkeypatch.setattr("scorer.run.shard_file.pq.ParquetFile", fail)
    found = says(verify(run), "part-00001.parquet")
    assert tells(found, error, advice)
    assert ("remove" in found) == ("remove" in advice)


def test_a_shard_is_held_against_the_rows_that_were_scored(run: Path) -> None:
    table = pq.read_table(shard(run))
    status = pa.array(["no_text"] * 2 + ["ok"] * 298)
    relist(run, 1, table.set_column(table.column_names.index("status"), "status", status))
    found = verify(run)
    assert tells(says(found, "part-00001.parquet"), "no_text 2, ok 298", "ok 300", "remove")
    with pytest.raises(RunError, match=facts(run, "part-00001.parquet", "no_text 2, ok 298")):
        require_whole(RunDirectory.read(run))
    manifest = json.loads((run / "run.json").read_text())
    for entry in manifest["shards"].values():
        del entry["by_status"]  # as an older version wrote it
    edit(run, shards=manifest["shards"])
    assert re.search(r"\bok .*1000.*998.*\bno_text .*none.*\b2\b", says(verify(run), "summary"))


def altered(value: Any) -> Any:
    """Return another value of the same kind."""
    if isinstance(value, dict):
        return {**{key: altered(item) for key, item in value.items()}, "one more": 1}
    return [*value, "x"] if isinstance(value, list) else (0.25 if value is None else value + 1)


def test_every_number_of_the_summary_that_follows_from_the_shards_is_counted_again(
    run: Path, bundle: ModelBundle, data: Path
) -> None:
    summary = json.loads((run / "run.json").read_text())["summary"]
    names = set(summary) - set(OF_THE_PROCESS)
    assert {"mean_loss", "accuracy", "by_status", "tokens", "padding", "screen"} < names
    for name in names:
        value = {"top_k": 5, "rescored": 7} if name == "screen" else altered(summary[name])
        edit(run, summary=summary | {name: value})
        found = verify(run)
        assert states(found)["summary"] == "wrong"
        assert says(found, "summary").startswith(f"{name} ")
        stats = score_dataset(bundle, data, run, OPTIONS)
        assert stats.to_dict()[name] == summary[name]
        assert json.loads((run / "run.json").read_text())["summary"] == summary


@pytest.mark.parametrize("part", ["screen", "summary"])
@pytest.mark.parametrize("name", ["threshold", "rescored", "estimated_recall", "control"])
def test_a_screen_is_counted_again_where_run_and_summary_differ(
    rows: pa.Table, tmp_path: Path, part: str, name: str
) -> None:
    bundle = make_bundle(tmp_path / "bundle", int8=weights().round(1))
    options = ScoreOptions(shard_rows=300, threads=1, precision="screen", screen_top=50)
    score_dataset(bundle, rows, tmp_path / "run", options)
    whole = json.loads((tmp_path / "run" / "run.json").read_text())
    screen = whole["screen"]
    assert 0 < screen["rescored"] < 700
    if name == "control":
        wrong = screen | {name: screen[name] | {"largest_error": 99.0}}
        named = "control largest_error", 99.0, screen["control"]["largest_error"]
    else:
        wrong = screen | {name: screen[name] + 1}
        named = name, screen[name] + 1, screen[name]
    edit(tmp_path / "run", **{part: wrong if part == "screen" else whole["summary"] | {"screen": wrong}})
    found = verify(tmp_path / "run")
    assert [what for what, state in states(found).items() if state == "wrong"] == [part]
    assert tells(says(found, part), "screen", *named)
    mended_report = score_dataset(bundle, rows, tmp_path / "run", options).screen
    assert mended_report is not None
    assert mended_report.to_dict() == screen
    mended = json.loads((tmp_path / "run" / "run.json").read_text())
    assert mended["screen"] == mended["summary"]["screen"] == screen
    assert verify(tmp_path / "run").complete


def test_columns_that_the_data_has_not_are_found(run: Path, lossrank: Lossrank) -> None:
    columns = json.loads((run / "run.json").read_text())["columns"]
    edit(run, columns=columns | {"text": "txt"})
    found = verify(run)
    assert [what for what, state in states(found).items() if state == "wrong"] == ["columns"]
    ranked = lossrank("rank", run, "--top", 1, "-o", run.parent / "worst.csv")
    assert ranked.exit_code == 1
    for line in (says(found, "columns"), ranked.stderr):
        assert all(fact in line for fact in (str(run / "run.json"), "text", "'txt'", "data.parquet"))


def test_class_names_that_changed_are_the_manifests_fault(run: Path, bundle: ModelBundle, data: Path) -> None:
    recorded = json.loads((run / "run.json").read_text())["bundle"]
    for names in (["Sports", "World", "Business", "Sci/Tech"], ["World"]):
        edit(run, bundle=recorded | {"class_names": names})
        found = verify(run)
        assert [what for what, state in states(found).items() if state == "wrong"] == ["classes"]
        assert tells(says(found, "classes"), "run.json", ", ".join(names), "World, Sports, Business, Sci/Tech", RESCORE)
        assert score_dataset(bundle, data, run, OPTIONS).kept_rows == 1000
        assert verify(run).complete


def test_files_that_are_none_of_the_runs_are_found(run: Path) -> None:
    (run / "scores" / "worst.parquet").write_bytes(b"x")
    (run / "scores" / "part-00099.parquet").write_bytes(b"x")
    (run / "scores" / ".part-00001.parquet.0.tmp").write_bytes(b"x")
    found = verify(run)
    assert [what for what, state in states(found).items() if state == "wrong"] == [
        "part-00099.parquet",
        "worst.parquet",
    ]
    assert "remove it" in says(found, "worst.parquet")
    shards = json.loads((run / "run.json").read_text())["shards"]
    edit(run, shards=shards | {"part-00099.parquet": shards["part-00000.parquet"]})
    assert "1,000 rows" in says(verify(run), "part-00099.parquet")


def test_score_fails_when_what_it_wrote_does_not_hold(
    bundle: ModelBundle, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scorer.pipeline import score as pipeline

    summarise = pipeline.summarise

    def damaging(run: RunDirectory, **arguments: Any) -> Any:
        stats = summarise(run, **arguments)
        flip(run.shard_file(2))
        return stats

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "summarise", damaging)
        with pytest.raises(RunError, match=facts("part-00002.parquet", "SHA-256")):
            score_dataset(bundle, data, tmp_path / "run", OPTIONS)
    assert "summary" not in json.loads((tmp_path / "run" / "run.json").read_text())
    assert score_dataset(bundle, data, tmp_path / "run", OPTIONS).kept_rows == 700
    run = RunDirectory.open(tmp_path / "run")
    require_whole(run)
