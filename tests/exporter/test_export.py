"""Every architecture, exported from a tiny model and compared with torch by code that is not the exporter's."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from exporter import export_model
from exporter.load import token_limit
from exporter.parity.reference import TOLERANCE
from scorer import ModelBundle
from scorer.model.buckets import make_buckets
from scorer.model.session import OrtSession
from scorer.model.tokenizer import BundleTokenizer
from tests.support import SOAK
from tests.support.tiny_models import CLASSES, KINDS, POSITIONS, build, edit, quiet

ARCHITECTURES = sorted(set(KINDS) - {"bart"})
TYPE_IDS = {"bert", "electra", "albert", "deberta-v2"}
TEXTS = [
    "The bank raised its rate.",
    "scored",
    "Researchers say a new chip needs half the power, " * 20,
    "Žluťoučký kůň 世界 👍",
    "Oil rose to $49.40 a barrel! Wasn't it 3-0? " * 3,
    "",
]
PAIRS = [
    ("The striker was sent off.", "Shares in Tokyo fell on Tuesday."),
    ("chip " * 90, "market"),
    ("match", "the match, the bank, the chip"),
    ("match", ""),
]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, ModelBundle]]:
    """Each architecture's model folder and the bundle made of it."""
    root = tmp_path_factory.mktemp("architectures")
    folders = {kind: build(kind, root / kind) for kind in ARCHITECTURES}
    return {kind: (folder, export_model(folder, root / f"{kind}-bundle")) for kind, folder in folders.items()}


@quiet
def torch_logits(folder: Path, texts: list[tuple[str, ...]]) -> NDArray[np.float32]:
    """Return transformers' own logits, one row at a time, with the attention that it chooses itself."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    rows = []
    with torch.inference_mode():
        for text in texts:
            parts = [[part] for part in text]
            inputs = tokenizer(*parts, truncation=True, max_length=POSITIONS, return_tensors="pt")
            rows.append(model(**inputs).logits[0].numpy())
    return np.stack(rows)


def bundle_logits(bundle: ModelBundle, texts: list[str], pairs: list[str] | None = None) -> NDArray[np.float32]:
    """Return the logits of one padded batch of all texts."""
    window = BundleTokenizer(bundle).tokenise(texts, pairs)
    (bucket,) = make_buckets(window, 10**6, bundle.pad_id)
    logits = np.empty((len(texts), len(bundle.class_names)), np.float32)
    logits[bucket.row] = OrtSession(bundle.model_file(), device="cpu", threads=2).run(bucket)
    return logits


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_a_padded_batch_has_torchs_logits_one_row_at_a_time(
    exported: dict[str, tuple[Path, ModelBundle]], kind: str
) -> None:
    folder, bundle = exported[kind]
    texts = TEXTS[:-1] if kind == "gpt2" else TEXTS  # which has no token for an empty text
    expected = torch_logits(folder, [(text,) for text in texts])
    assert expected.std(axis=0).min() > 0.05, "texts that look alike would hide a mix-up"
    np.testing.assert_allclose(bundle_logits(bundle, texts), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_pairs_have_torchs_logits_too(exported: dict[str, tuple[Path, ModelBundle]], kind: str) -> None:
    folder, bundle = exported[kind]
    first, second = (list(column) for column in zip(*PAIRS, strict=True))
    expected = torch_logits(folder, list(PAIRS))
    assert expected.std(axis=0).min() > 0.05
    np.testing.assert_allclose(bundle_logits(bundle, first, second), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_the_bundle_says_what_it_is(exported: dict[str, tuple[Path, ModelBundle]], kind: str) -> None:
    folder, bundle = exported[kind]
    loaded = ModelBundle.load(bundle.path)  # checks every hash
    assert loaded == bundle
    assert bundle.class_names == CLASSES
    assert bundle.max_tokens == POSITIONS
    assert bundle.problem_type == "single_label_classification"
    assert (bundle.model, bundle.revision) == (kind, None)
    assert ("token_type_ids" in bundle.input_names) == (kind in TYPE_IDS)
    config = json.loads((folder / "config.json").read_text())
    assert (bundle.model_type, bundle.pad_id) == (config["model_type"], config["pad_token_id"])
    assert {"torch", "transformers", "optimum", "optimum-onnx", "onnx", "onnxruntime", "tokenizers"} <= set(
        bundle.versions
    )
    parity = bundle.parity()
    assert parity.texts >= 64
    assert 0 < parity.max_logit_difference <= TOLERANCE
    assert 0 < parity.max_loss_difference <= TOLERANCE
    assert parity.label_agreement == 1.0
    assert parity.top_k >= 16
    tokenizer = json.loads(bundle.tokenizer_file.read_text(encoding="utf-8"))
    assert tokenizer["truncation"] is None
    assert tokenizer["padding"] is None


def test_token_type_ids_count(exported: dict[str, tuple[Path, ModelBundle]]) -> None:
    """Or else the pairs above would pass without them."""
    _, bundle = exported["bert"]
    window = BundleTokenizer(bundle).tokenise(["match"], ["the bank"])
    (bucket,) = make_buckets(window, 10**6, bundle.pad_id)
    session = OrtSession(bundle.model_file(), device="cpu", threads=2)
    assert bucket.token_type_ids is not None
    with_ids = session.run(bucket)
    bucket.token_type_ids[:] = 0
    assert np.abs(session.run(bucket) - with_ids).max() > 0.01


def test_exporting_twice_gives_the_same_bundle(exported: dict[str, tuple[Path, ModelBundle]], tmp_path: Path) -> None:
    for kind in ("bert", "deberta-v3"):
        folder, bundle = exported[kind]
        again = export_model(folder, tmp_path / kind)
        assert again.files == bundle.files
        assert again.sha256 == bundle.sha256


def test_the_folder_holds_the_bundle_only_and_has_normal_permissions(
    exported: dict[str, tuple[Path, ModelBundle]], tmp_path: Path
) -> None:
    _, bundle = exported["bert"]
    assert sorted(file.name for file in bundle.path.iterdir()) == [
        "bundle.json",
        "model.int8.onnx",
        "model.onnx",
        "tokenizer.json",
    ]
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "file").touch()
    assert stat.S_IMODE(bundle.path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    for file in bundle.path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == stat.S_IMODE((plain / "file").stat().st_mode), file


def test_no_path_of_this_machine_is_in_the_bundle(exported: dict[str, tuple[Path, ModelBundle]]) -> None:
    folder, bundle = exported["bert"]
    for file in bundle.path.iterdir():
        content = file.read_bytes()
        assert str(folder).encode() not in content
        assert b"site-packages" not in content


def test_half_precision_weights_are_computed_in_float32(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    folder = build("bert", tmp_path / "model")
    AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float16).save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float16"
    bundle = export_model(folder, tmp_path / "bundle")
    weights = onnx.load(str(bundle.model_file())).graph.initializer
    assert not [weight.name for weight in weights if weight.data_type == onnx.TensorProto.FLOAT16]
    expected = torch_logits(folder, [(text,) for text in TEXTS])
    np.testing.assert_allclose(bundle_logits(bundle, TEXTS), expected, rtol=0, atol=1e-4)


def test_classes_keep_their_index_and_come_from_id2label(tmp_path: Path) -> None:
    names = {"3": "d", "0": "a", "2": "c", "1": "b"}
    folder = edit(build("distilbert", tmp_path / "model"), id2label=names, label2id=None)
    assert export_model(folder, tmp_path / "bundle").class_names == ("a", "b", "c", "d")


def test_a_model_without_class_names_gets_transformers_placeholders(tmp_path: Path) -> None:
    folder = build("distilbert", tmp_path / "model", id2label={0: "LABEL_0", 1: "LABEL_1"}, label2id=None)
    edit(folder, id2label=None, label2id=None)
    assert export_model(folder, tmp_path / "bundle").class_names == ("LABEL_0", "LABEL_1")


@pytest.mark.parametrize(
    ("kind", "model_max_length", "expected"),
    [
        ("bert", 20, 20),
        ("bert", int(1e30), POSITIONS),
        ("bert", 512, POSITIONS),
        ("bert", 2, POSITIONS),  # no room for a text: a slip
        ("roberta", int(1e30), POSITIONS),  # of 66 positions, two are the padding's
        ("bart", int(1e30), POSITIONS),
    ],
)
def test_max_tokens_is_the_models_true_limit(tmp_path: Path, kind: str, model_max_length: int, expected: int) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = build(kind, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(folder, model_max_length=model_max_length)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    assert token_limit(model, tokenizer) == expected
    if expected == POSITIONS:  # one more is too many, and so it is the limit
        ids = torch.tensor([tokenizer("bank " * 200, truncation=True, max_length=expected + 1)["input_ids"]])
        model(ids[:, -expected:])
        with pytest.raises((IndexError, RuntimeError)):
            model(ids)


def test_max_tokens_of_a_model_of_relative_positions_that_names_no_limit(tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = build("deberta-v3", tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    model.config.max_position_embeddings = -1
    assert token_limit(model, tokenizer) == 512


def test_progress_tells_the_stages_and_libraries_stay_quiet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = build("deberta", tmp_path / "model")  # whose conversion warns the most
    capfd.readouterr()
    stages: list[str] = []
    export_model(folder, tmp_path / "bundle", progress=stages.append)
    assert [stage.split()[0] for stage in stages] == [
        "looking",
        "loading",
        "loading",
        "running",
        "converting",
        "running",
        "making",
        "export",
    ]
    assert capfd.readouterr() == ("", "")


def test_importing_exporter_is_cheap() -> None:
    code = "import sys, exporter; print([m for m in ('torch', 'transformers', 'optimum', 'onnx') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def test_all_is_sorted_and_there() -> None:
    import exporter

    assert exporter.__all__ == sorted(exporter.__all__)
    assert all(hasattr(exporter, name) for name in exporter.__all__)


@SOAK
def test_the_real_model(shared: Path, tmp_path: Path) -> None:
    bundle = export_model(shared / "models" / "minilm-agnews", tmp_path / "bundle")
    assert bundle.class_names == ("World", "Sports", "Business", "Sci/Tech")
    assert (bundle.max_tokens, bundle.pad_id, bundle.model) == (512, 0, "minilm-agnews")
    assert bundle.parity().max_logit_difference < 2e-5
