"""bench: a sample is drawn, scored as score does it, thrown away, and its figures add up. No test looks at a speed."""

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click.testing
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.commands.bench import bench as bench_command
from cli.commands.bench import print_result
from cli.commands.demo import BUNDLE, DATA
from cli.commands.score import score
from scorer import LabelError, ModelBundle, RunError, RunStats, ScoreOptions, SourceError, open_source, score_dataset
from scorer.bench.bench import BenchResult, bench
from scorer.machine import hardware
from tests.support.facts import facts
from tests.support.tiny import MAX_TOKENS

Lossrank = Callable[..., click.testing.Result]
PEAK = 5e9


@pytest.fixture(autouse=True)
def peaks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Take the place of the measured peak; return the threads that it was asked for."""
    asked: list[int] = []

    def fake(threads: int, seconds: float = 1.0) -> float:
        asked.append(threads)
        return PEAK / len(asked)

    monkeypatch.setattr("scorer.bench.bench.matrix_peak", fake)
    return asked


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files that is this test's own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What score_dataset is called with, in order: the warm-up, then the sample."""
    calls: list[dict[str, Any]] = []

    def watched(bundle: ModelBundle, data: pa.Table, output: Path, options: ScoreOptions, **others: Any) -> RunStats:
        stats = score_dataset(bundle, data, output, options, **others)
        calls.append({"data": data, "output": output, "options": options, "stats": stats})
        return stats

    monkeypatch.setattr("scorer.bench.bench.score_dataset", watched)
    return calls


@pytest.fixture
def data(rows: pa.Table, tmp_path: Path) -> Path:
    pq.write_table(rows, tmp_path / "news.parquet")
    return tmp_path / "news.parquet"


@pytest.fixture
def counted(tiny_bundle: ModelBundle, tmp_path: Path) -> ModelBundle:
    """A bundle that says how many weights each token meets."""
    shutil.copytree(tiny_bundle.path, tmp_path / "counted")
    bundle = msgspec.structs.replace(tiny_bundle, path=tmp_path / "counted", token_parameters=3000)
    bundle.save()
    return bundle


def n_tokens(texts: list[str], most: int = MAX_TOKENS) -> int:
    return sum(min(len(text.split()) + 2, most) for text in texts)


def test_a_sample_is_scored_and_its_figures_add_up(
    counted: ModelBundle, data: Path, scored: list[dict[str, Any]], peaks: list[int]
) -> None:
    result = bench(counted.path, data, ScoreOptions(threads=2), rows=300)
    sample, stats = scored[-1]["data"], scored[-1]["stats"]
    assert (result.rows, result.data_rows, len(sample)) == (300, 1000, 300)
    assert (result.model, result.data) == ("tiny", "news.parquet")
    assert result.columns == {"text": "text", "text_pair": None, "label": "label", "id": None}
    assert result.tokens == n_tokens(sample["text"].to_pylist())
    assert result.seconds == stats.seconds
    assert result.rows_per_second == pytest.approx(300 / stats.seconds["total"])
    assert result.tokens_per_second == pytest.approx(result.tokens / stats.seconds["total"])
    assert result.model_share == stats.model_share
    assert (result.truncated, result.duplicates) == (stats.truncated, stats.duplicates)
    assert 0 <= result.padding < 1
    assert result.peak_memory_bytes > 2**20
    assert {"python", "system", "numpy", "onnxruntime"} <= result.versions.keys()
    # Measured before and after the run, on its threads; the larger counts.
    assert peaks == [2, 2]
    assert result.matrix_peak_flops == PEAK
    assert result.roofline_share == pytest.approx(2 * 3000 * result.tokens / (stats.seconds["total"] * PEAK))
    assert json.loads(json.dumps(result.to_dict())) == result.to_dict()
    assert result.to_dict()["roofline_share"] == result.roofline_share


def test_the_sample_is_random_in_order_and_always_the_same(
    tiny_bundle: ModelBundle, data: Path, rows: pa.Table, scored: list[dict[str, Any]]
) -> None:
    bench(tiny_bundle, data, rows=200)
    bench(tiny_bundle, str(data), rows=200)
    warm_up, sample, _, again = (call["data"] for call in scored)
    assert sample.equals(again)
    drawn = np.array([int(note.split()[1]) for note in sample["note"].to_pylist()])
    assert np.all(np.diff(drawn) > 0)
    assert drawn[-1] - drawn[0] > 500
    assert len(set(np.diff(drawn))) > 3
    assert sample.equals(rows.take(pa.array(drawn)))
    assert set(warm_up["note"].to_pylist()) <= set(sample["note"].to_pylist())


@pytest.mark.parametrize(("have", "drawn", "warm"), [(1, 1, 1), (7, 7, 7), (256, 256, 256), (257, 257, 129)])
def test_all_rows_are_taken_where_there_are_fewer(
    tiny_bundle: ModelBundle, rows: pa.Table, scored: list[dict[str, Any]], have: int, drawn: int, warm: int
) -> None:
    result = bench(tiny_bundle, rows.slice(0, have))
    assert (result.rows, result.data_rows) == (drawn, have)
    assert [len(call["data"]) for call in scored] == [warm, drawn]
    assert scored[-1]["data"].equals(rows.slice(0, have))


def test_the_options_are_those_of_scoring(
    tiny_bundle: ModelBundle, data: Path, scored: list[dict[str, Any]], peaks: list[int]
) -> None:
    options = ScoreOptions(text_column="note", text_pair_column="text", threads=3, batch_tokens=64, max_tokens=30)
    result = bench(tiny_bundle, data, options, rows=50)
    assert all(call["options"] is options for call in scored)
    assert (result.device, result.threads, result.batch_tokens) == ("cpu", 3, 64)
    assert (result.columns["text"], result.columns["text_pair"]) == ("note", "text")
    texts = scored[-1]["data"]["text"].to_pylist()
    assert result.duplicates == 0
    assert result.tokens == sum(min(len(text.split()) + 5, 30) for text in texts)  # [CLS] note 7 [SEP] ... [SEP]
    assert {"text_column": "note", "max_tokens": 30, "threads": 3}.items() <= result.options.items()
    assert "label_column" not in result.options
    assert peaks == [3, 3]


def test_class_names_of_the_data_stay_with_the_sample(scored: list[dict[str, Any]]) -> None:
    bench(BUNDLE, DATA, rows=20)
    source = open_source(DATA)
    assert source.label_names
    assert open_source(scored[-1]["data"]).label_names == source.label_names


def test_nothing_is_left_behind(
    tiny_bundle: ModelBundle, data: Path, scored: list[dict[str, Any]], temporary: Path
) -> None:
    bench(tiny_bundle, data, rows=20)
    assert all(temporary in call["output"].parents for call in scored)
    assert list(temporary.iterdir()) == []


def test_a_bundle_that_does_not_tell_has_no_roofline(tiny_bundle: ModelBundle, data: Path) -> None:
    result = bench(tiny_bundle, data, rows=20)
    assert result.matrix_peak_flops == PEAK
    assert result.token_parameters is None
    assert result.to_dict()["roofline_share"] is None


def test_a_gpu_has_no_roofline(counted: ModelBundle, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = replace(bench(counted, data, rows=20), device="cuda", threads=1, matrix_peak_flops=None)
    assert result.roofline_share is None
    print_result(result)
    assert "not known on a GPU" in capsys.readouterr().out


@pytest.mark.parametrize("count", [0, -1])
def test_rows_must_be_positive(tiny_bundle: ModelBundle, data: Path, count: int) -> None:
    with pytest.raises(RunError, match=facts("`rows`", count, 1)):
        bench(tiny_bundle, data, rows=count)


def test_what_score_refuses_bench_refuses(tiny_bundle: ModelBundle, data: Path, temporary: Path) -> None:
    with pytest.raises(SourceError, match="nope"):
        bench(tiny_bundle, data, ScoreOptions(text_column="nope"))
    with pytest.raises(LabelError):
        bench(tiny_bundle, pa.table({"text": ["w1", "w2"], "label": ["Weather", "Traffic"]}))
    assert list(temporary.iterdir()) == []


class TestHardware:
    def test_an_x86_cpu(self, tmp_path: Path) -> None:
        cpu = "processor\t: {}\nmodel name\t: Some CPU @ 2.1GHz: fast\nflags\t\t: fpu sse avx2 avx512f avx512_vnni\n\n"
        (tmp_path / "cpuinfo").write_text(cpu.format(0) + cpu.format(1))
        found = hardware(tmp_path / "cpuinfo")
        assert found["cpu"] == "Some CPU @ 2.1GHz: fast"
        assert found["flags"] == ["avx2", "avx512f", "avx512_vnni"]
        assert found["cores"] >= 1
        assert found["memory_bytes"] > 2**20

    def test_an_arm_cpu(self, tmp_path: Path) -> None:
        (tmp_path / "cpuinfo").write_text("processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\nCPU part\t: 0xd40\n")
        found = hardware(tmp_path / "cpuinfo")
        assert found["cpu"]
        assert found["flags"] == ["asimddp", "i8mm"]

    def test_a_system_that_does_not_tell(self, tmp_path: Path) -> None:
        assert hardware(tmp_path / "nothing")["flags"] == []


class TestCommand:
    def test_the_table(self, lossrank: Lossrank, counted: ModelBundle, data: Path) -> None:
        result = lossrank("bench", counted.path, data, "--rows", 100, "--threads", 1)
        assert result.exit_code == 0, result.output
        lines = [line.rstrip() for line in result.stdout.splitlines()]
        shown = {line[:19].strip(): line[19:] for line in lines if line[:19].strip()}
        assert shown["data"] == "100 of 1,000 rows of news.parquet"
        assert shown["columns"] == "text text, label label"
        assert shown["device"] == "cpu, 1 thread(s), fp32, batches of 512 tokens"
        assert shown["weights per token"] == "3,000 in the unpruned model"
        assert shown["fp32 matrix peak"] == "5.0 GFLOP/s on 1 core(s)"
        assert "% = 2 x weights x tokens / (seconds x peak)" in shown["fp32 roofline"]
        assert {"model", "machine", "versions", "rows/s", "tokens/s", "padding", "time", "peak memory"} <= shown.keys()
        assert max(map(len, lines)) <= 120
        assert "scoring 100 of 1,000 rows" in result.stderr
        assert "w1 " not in result.output  # no text of the data is printed

    def test_json_is_all_there_is_on_stdout(self, lossrank: Lossrank, counted: ModelBundle, data: Path) -> None:
        result = lossrank("bench", counted.path, data, "--rows", 100, "--batch-tokens", 64, "--json")
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        assert found.keys() == {*BenchResult.__dataclass_fields__, "roofline_share"}
        assert (found["rows"], found["batch_tokens"], found["token_parameters"]) == (100, 64, 3000)
        expected = 2 * 3000 * found["tokens"] / (found["seconds"]["total"] * PEAK)
        assert found["roofline_share"] == pytest.approx(expected)

    def test_an_old_bundle_is_to_be_exported_again(
        self, lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path
    ) -> None:
        result = lossrank("bench", tiny_bundle.path, data, "--rows", 10)
        assert result.exit_code == 0
        assert "run `lossrank export` again" in " ".join(result.stdout.split())

    def test_its_options_of_scoring_are_scores_own(self) -> None:
        settings = {param.name: param for param in bench_command.params if param.name not in ("rows", "as_json")}
        for param in score.params:
            if param.name in settings:
                assert param.to_info_dict() == settings.pop(param.name).to_info_dict()
        assert settings == {}

    def test_every_option_gets_there(
        self, lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path, tmp_path: Path, scored: list[dict[str, Any]]
    ) -> None:
        (tmp_path / "map.json").write_text('{"0": "World", "1": null, "2": "Business", "3": "Sci/Tech"}')
        given = {
            "--text-column": "note", "--text-pair-column": "text", "--label-column": "label", "--threads": 2,
            "--label-map": tmp_path / "map.json", "--max-tokens": 30, "--batch-tokens": 100, "--device": "cpu",
            "--long-text": "tail", "--window-rows": 20,
        }  # fmt: skip
        result = lossrank(
            "bench", tiny_bundle.path, data, "--rows", 30, *(word for pair in given.items() for word in pair)
        )
        assert result.exit_code == 0, result.output
        assert scored[-1]["options"] == ScoreOptions(
            text_column="note", text_pair_column="text", label_column="label", threads=2, max_tokens=30,
            batch_tokens=100, device="cpu", long_text="tail", window_rows=20,
            label_map={"0": "World", "1": None, "2": "Business", "3": "Sci/Tech"},
        )  # fmt: skip
        refused = lossrank("bench", tiny_bundle.path, data, "--split", "test")
        assert refused.exit_code == 1

    @pytest.mark.parametrize(
        "arguments", [("nowhere", "data"), ("{bundle}", "nothing.csv"), ("{bundle}", "{bundle}/model.onnx")]
    )
    def test_errors_are_one_line(
        self, lossrank: Lossrank, tiny_bundle: ModelBundle, arguments: tuple[str, str]
    ) -> None:
        result = lossrank("bench", *(word.format(bundle=tiny_bundle.path) for word in arguments))
        assert result.exit_code == 1
        assert result.stdout == ""
        (line,) = [line for line in result.stderr.splitlines() if line != "drawing the sample"]
        assert line.startswith("Error: ")

    def test_no_rows_are_wrong_usage(self, lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path) -> None:
        assert lossrank("bench", tiny_bundle.path, data, "--rows", 0).exit_code == 2

    def test_ctrl_c_leaves_nothing_behind(
        self, lossrank: Lossrank, tiny_bundle: ModelBundle, data: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        there: list[Path] = []

        def interrupted(threads: int, seconds: float) -> float:
            there.extend(temporary.iterdir())
            raise KeyboardInterrupt

        monkeypatch.setattr("scorer.bench.bench.matrix_peak", interrupted)
        result = lossrank("bench", tiny_bundle.path, data, "--rows", 50)
        assert (result.exit_code, result.stdout) == (130, "")
        assert result.stderr.endswith("Stopped.\n")
        assert len(there) == 1
        assert list(temporary.iterdir()) == []
