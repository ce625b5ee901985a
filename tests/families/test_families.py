"""A few kinds of each sort; `make families` does so for all of them, and writes found.jsonl and docs/models.md.

The kinds that are converted here have one layer, because a conversion takes seconds for each.
"""

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from docs.make_models import FOUND, TARGET, merged, page
from exporter import ConversionError, ModelError, export_model
from exporter.fetch import fetch
from exporter.libraries import is_disk_full
from exporter.load import load
from exporter.routes.choose import choose
from tests.families.build import build
from tests.families.forms import BY_NAME, KINDS
from tests.families.kind import Kind
from tests.families.matrix import fault, outcomes
from tests.support import SOAK
from tests.support.tiny_models import quiet

TRANSFORMERS = version("transformers")
VERSION_5 = int(TRANSFORMERS.split(".")[0]) >= 5
# Each stands for many: a head that reads the first token, relative positions, an encoder and a decoder, the last token
# with rotary positions and with learned ones, padding on the left, windows of attention, weights in bfloat16.
QUICK_5 = (
    *("bert", "deberta-v3", "bart", "gpt2", "llama, left padding", "modernbert", "llama, bfloat16 weights"),
    "qwen2, saved by transformers 5",
)
QUICK_4 = (pytest.param("bart", marks=SOAK),)  # and bert: test_both_routes_are_exact
CHEAP = ("roberta, 2 classes", "llama, left padding")
REFUSED = [kind.name for kind in KINDS if kind.reason(TRANSFORMERS) and not kind.saved_by_5]


def short(name: str) -> Kind:
    """Return a kind with one layer."""
    kind = BY_NAME[name]
    layers = [key for key in ("n_layer", "n_layers", "num_layers") if key in kind.settings] or ["num_hidden_layers"]
    if "encoder_layers" in kind.settings:
        layers = ["encoder_layers", "decoder_layers"]
    return replace(kind, settings={**kind.settings, **dict.fromkeys(layers, 1)})


def have(route: str) -> None:
    if route not in [each.name for each in choose("auto", "bert")]:
        pytest.skip(f"{route} is not installed beside this transformers")


@pytest.mark.parametrize("name", QUICK_5 if VERSION_5 else QUICK_4)
@quiet
def test_by_torchs_route_each_loss_is_torchs(name: str, tmp_path: Path) -> None:
    (found,) = outcomes(short(name), tmp_path, ("torch",))
    assert fault(found) is None
    assert found.difference is not None
    if name in ("bert", "deberta-v3"):
        assert str(found.rewrite).startswith("last layer on the first token only")


@pytest.mark.parametrize("name", CHEAP)
@quiet
def test_by_optimums_route_each_loss_is_torchs(name: str, tmp_path: Path) -> None:
    have("optimum")
    (found,) = outcomes(short(name), tmp_path, ("optimum",))
    assert fault(found) is None
    assert found.difference is not None


@quiet
def test_both_routes_are_exact(tmp_path: Path) -> None:
    have("optimum")
    found = outcomes(short("bert"), tmp_path, ("optimum", "torch"))
    assert [(each.route, fault(each), each.rewrite) for each in found] == [
        (route, None, "last layer on the first token only, without its keys and values")
        for route in ("optimum", "torch")
    ]
    assert all(each.apart is not None and each.int8 is not None for each in found)


@pytest.mark.parametrize("name", REFUSED)
@quiet
def test_what_cant_be_exported_is_refused_for_its_reason(name: str, tmp_path: Path) -> None:
    (found,) = outcomes(BY_NAME[name], tmp_path, ("torch",))
    if found.absent:
        pytest.skip(found.absent)
    assert fault(found) is None
    assert found.refused is not None
    assert "\n" not in found.refused


def test_the_page_is_what_the_generator_writes_and_has_each_kind() -> None:
    found = merged([])
    assert TARGET.read_text() == page(found), "run make families, or python -m docs.make_models"
    assert [line for line in FOUND.read_text().splitlines() if line] != []
    assert {each.kind for each in found} == set(BY_NAME)
    assert {name: fault(each) for each in found for name in [each.kind] if fault(each)} == {}


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"difference": 1.1e-4}, True),
        ({"apart": 1.1e-5}, True),
        ({"refused": "it needs bbox"}, True),
        ({"error": "ValueError: bbox"}, True),
        ({}, False),
    ],
)
def test_a_kind_that_breaks_is_found(change: dict[str, object], wrong: bool) -> None:
    exact = next(each for each in merged([]) if each.kind == "bert" and each.route == "torch")
    assert (fault(replace(exact, **change)) is not None) == wrong  # type: ignore[arg-type]


@quiet
def test_a_big_bird_that_reads_short_texts_only_has_full_attention(tmp_path: Path) -> None:
    model = build(BY_NAME["big_bird, block_sparse"], tmp_path / "model")
    classifier = load(fetch(str(model), None), 14)
    assert (classifier.max_tokens, classifier.model.bert.attention_type) == (14, "original_full")


@pytest.mark.soak
@quiet
def test_where_optimum_fails_torch_goes_on(tmp_path: Path) -> None:
    have("optimum")
    said: list[str] = []
    bundle = export_model(
        build(BY_NAME["bart"], tmp_path / "model"), tmp_path / "bundle", progress=said.append, int8=False
    )
    assert bundle.exporter == "torch"
    assert [words.split(":")[0] for words in said if words.startswith(("converting", "optimum"))] == [
        "converting to ONNX with optimum",
        "optimum can't export it",
        "converting to ONNX with torch",
    ]


@quiet
def test_more_tokens_than_the_model_reads_are_refused(tmp_path: Path) -> None:
    model = build(BY_NAME["bert"], tmp_path / "model")
    for wrong in (2, 65):
        with pytest.raises(ModelError, match=rf"`max_tokens` is {wrong}; model reads from 4 to 64"):
            export_model(model, tmp_path / "bundle", max_tokens=wrong)


@pytest.mark.timeout(60)
@quiet
def test_a_failure_within_torch_ends_the_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def fail(*arguments: object, **named: object) -> None:
        try:
            raise ValueError("data-dependent")
        except ValueError as error:
            raise torch.onnx.OnnxExporterError("a page about the exporter") from error

    monkeypatch.setattr("torch.onnx.export", fail)
    with pytest.raises(ConversionError, match="with torch failed: ValueError: data-dependent"):
        export_model(build(BY_NAME["bert"], tmp_path / "model"), tmp_path / "bundle", exporter="torch")
    one, other = ValueError(), ValueError()
    one.__cause__, other.__cause__ = other, one  # once an endless loop, after minutes of a conversion
    assert not is_disk_full(one)
