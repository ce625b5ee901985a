"""`lossrank export`: what it prints, and its errors on one line with an exit code."""

import re
from collections.abc import Callable
from pathlib import Path

import click.testing
import pytest

from scorer import ModelBundle
from tests.support.commands import document, error_line, json_lines
from tests.support.facts import tells
from tests.support.tiny_models import build, edit

Lossrank = Callable[..., click.testing.Result]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return build("bert", tmp_path / "in" / "my-model")


def test_it_says_what_it_does_and_what_it_found(lossrank: Lossrank, model: Path, tmp_path: Path) -> None:
    output = tmp_path / "bundle"
    result = lossrank("export", model, output)
    assert result.exit_code == 0, result.output
    *steps, took = result.stderr.splitlines()
    assert steps == [
        f"looking for {model}",
        "loading torch and transformers",
        "loading my-model",
        "running 87 texts through torch",
        "converting to ONNX with optimum",
        "running 87 texts through onnxruntime",
        "making the int8 variant",
    ]
    stages = ["fetching", "importing", "loading", "torch", "converting", "token ids", "onnxruntime", "int8", "hashing"]
    each = dict(part.rsplit(" ", 1) for part in took.removeprefix("export took ").partition(": ")[2].split(", "))
    assert list(each) == stages
    assert sum(map(float, each.values())) == pytest.approx(float(took.split()[2]), abs=0.05 * len(stages) + 0.05)
    lines = [re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in result.stdout.splitlines() if "  " in line]
    shown = {line[0]: line[1] for line in lines}
    bundle = ModelBundle.load(output)
    parity = bundle.parity()
    assert re.fullmatch(rf"{re.escape(str(output))} \(bert, \d+ s\)", shown["bundle"])
    assert shown["classes"] == "4: World, Sports, Business, Sci/Tech"
    assert shown["max tokens"] == "64"
    assert shown["model.onnx"] == f"{(output / 'model.onnx').stat().st_size / 1e6:.1f} MB"
    assert shown["bundle.json"] == f"{(output / 'bundle.json').stat().st_size / 1e3:.1f} kB"
    assert shown["parity"] == "87 texts of up to 64 tokens through torch and through model.onnx"
    assert shown["logits"] == f"at most {parity.max_logit_difference:.1e} apart"
    assert shown["losses"] == f"at most {parity.max_loss_difference:.1e} nats apart"
    assert shown["in torch"] == f"eager and sdpa attention at most {parity.attention_difference:.1e} apart"
    assert 0 < parity.attention_difference < 1e-4
    assert shown["predictions"] == "100.0% the same"
    assert shown["worst 21"] == "100.0% the same"
    int8 = bundle.parity("int8")
    assert 0 < int8.mean_loss_difference < 0.1
    assert shown["int8"] == (
        f"losses {int8.mean_loss_difference:.3f} nats apart on average, "
        f"{int8.label_agreement:.1%} of the predictions the same"
    )
    assert result.stdout.endswith(f"\nNext: lossrank score {output} DATA -o run\n")


def test_an_existing_bundle_needs_force(lossrank: Lossrank, model: Path, tmp_path: Path) -> None:
    assert lossrank("export", model, tmp_path / "bundle").exit_code == 0
    again = lossrank("export", model, tmp_path / "bundle")
    assert again.exit_code == 1
    assert tells(error_line(again), tmp_path / "bundle", "`--force`")
    assert lossrank("export", model, tmp_path / "bundle", "--force").exit_code == 0


def test_what_is_not_a_classifier_is_one_line(lossrank: Lossrank, model: Path, tmp_path: Path) -> None:
    edit(model, architectures=["BertForTokenClassification"])
    result = lossrank("export", model, tmp_path / "bundle")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        "Error: my-model can't be exported: it is a token classifier: it labels words, not texts "
        "(BertForTokenClassification), not a text classifier (...ForSequenceClassification)"
    )
    assert result.stdout == ""
    assert not (tmp_path / "bundle").exists()


def test_a_revision_goes_to_the_exporter(lossrank: Lossrank, model: Path, tmp_path: Path) -> None:
    result = lossrank("export", model, tmp_path / "bundle", "--revision", "v2")
    assert result.exit_code == 1
    assert tells(error_line(result), model, "'v2'", "`--revision`")


def test_a_failing_library_is_heard_above_the_error(
    lossrank: Lossrank, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import optimum.exporters.onnx

    def export(*_: object) -> None:
        print("a long explanation")
        raise RuntimeError("no operator")

    monkeypatch.setattr(optimum.exporters.onnx, "export", export)
    result = lossrank("export", model, tmp_path / "bundle", "--exporter", "optimum")
    assert result.exit_code == 1
    said = "Error: converting to ONNX with optimum failed: RuntimeError: no operator\n"
    assert result.stderr.endswith(f"a long explanation\n{said}")


def test_ctrl_c(lossrank: Lossrank, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("exporter.variants.require_parity", interrupt)
    result = lossrank("export", model, tmp_path / "bundle")
    assert result.exit_code == 130
    assert [entry.name for entry in tmp_path.iterdir()] == ["in"]


def test_a_spinner_on_a_terminal(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import sys

    from cli.main import run

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen)
    run(["export", str(model), str(tmp_path / "bundle")], standalone_mode=False)
    assert sys.stderr is screen
    assert "converting to ONNX" in screen.getvalue()
    assert screen.getvalue().rstrip().endswith("\x1b[2K")  # and it is wiped


def test_many_classes_are_cut_short(lossrank: Lossrank, tmp_path: Path) -> None:
    names = {i: f"topic {i}" for i in range(40)}
    model = build("distilbert", tmp_path / "model", id2label=names, label2id={n: i for i, n in names.items()})
    result = lossrank("export", model, tmp_path / "bundle")
    assert result.exit_code == 0, result.output
    words = " ".join(result.stdout.split())
    assert "40: topic 0, topic 1," in words
    assert "topic 29 and 10 more" in words


def test_export_in_json_and_in_a_log(lossrank: Lossrank, model: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    found = document(lossrank("export", model, tmp_path / "bundle", "--no-int8", "--json", "--log-file", log))
    bundle = ModelBundle.load(tmp_path / "bundle")
    assert set(ModelBundle.__struct_fields__) - {"compared_with", "long_text"} <= set(found)  # torch, and the start
    assert (found["path"], found["sha256"]) == (str(tmp_path / "bundle"), bundle.sha256)
    told = json_lines(log)
    assert [line["event"] for line in told][:2] == ["start", "step"]
    assert told[-1]["event"] == "end"
    assert {"event": "step", "doing": "converting to ONNX with optimum"}.items() <= told[5].items()
    refused = lossrank("export", model, tmp_path / "bundle", "--log-file", log, "--json")
    assert refused.exit_code == 1
    assert refused.stdout == ""
    assert json_lines(log)[-1]["kind"] == "OutputError"
