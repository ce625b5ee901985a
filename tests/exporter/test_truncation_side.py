"""A model whose tokenizer keeps the end of a long text: its bundle scores the end, as transformers does."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import lossrank as lr
from tests.support.tiny_models import CLASSES, CORPUS, build, edit, quiet

WORDS = " ".join(CORPUS).split()
TEXTS = [
    " ".join(np.random.default_rng(i).choice(WORDS, size=size)) for i, size in enumerate((1, 9, 60, 70, 200, 4000))
]
TEXTS += ["界" * 300, "market " * 90 + "chip"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The side is in tokenizer.json alone, where transformers finds it too."""
    model = build("bert", tmp_path_factory.mktemp("left") / "m")
    left = {"direction": "Left", "max_length": 9, "strategy": "LongestFirst", "stride": 0}
    return edit(edit(model, "tokenizer.json", truncation=left), "tokenizer_config.json", truncation_side=None)


@pytest.fixture(scope="module")
def steps() -> list[str]:
    return []


@pytest.fixture(scope="module")
def bundle(model: Path, steps: list[str], tmp_path_factory: pytest.TempPathFactory) -> lr.ModelBundle:
    output = tmp_path_factory.mktemp("bundle") / "b"
    return lr.export(model, output, int8=False, progress=lambda step: steps.append(step.note or ""))


@quiet
def torch_losses(model: Path, pairs: list[str] | None = None) -> list[float]:
    """The losses of the class World, one text at a time, as transformers' documentation computes them."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model, model_max_length=64)
    network = AutoModelForSequenceClassification.from_pretrained(model).eval()
    losses = []
    for i, text in enumerate(TEXTS):
        both = [[text]] if pairs is None else [[text], [pairs[i]]]
        with torch.inference_mode():
            logits = network(**tokenizer(*both, truncation=True, return_tensors="pt")).logits[0].double()
        losses.append(float(torch.logsumexp(logits, 0) - logits[0]))
    return losses


def losses(run: lr.Run) -> list[float]:
    return list(run.to_arrow().sort_by("row")["loss"].to_pylist())


def rows(**more: list[str]) -> pa.Table:
    return pa.table({"text": TEXTS, "label": [CLASSES[0]] * len(TEXTS), **more})


def test_long_texts_are_scored_by_their_end(
    model: Path, bundle: lr.ModelBundle, steps: list[str], tmp_path: Path
) -> None:
    assert bundle.long_text == lr.load_bundle(bundle.path).long_text == "tail"
    assert [step for step in steps if "truncation_side" in step]
    run = lr.score(bundle, rows(), tmp_path / "run", progress=False)
    assert run.directory.manifest.options.long_text == "tail"
    np.testing.assert_allclose(losses(run), torch_losses(model), atol=1e-4)
    head = lr.score(bundle, rows(), tmp_path / "head", long_text="head", progress=False)
    apart = np.abs(np.subtract(losses(head), losses(run)))
    assert [size > 1e-3 for size in apart] == [False, False, True, True, True, True, False, True]


def test_pairs_are_cut_as_transformers_cuts_them(model: Path, bundle: lr.ModelBundle, tmp_path: Path) -> None:
    pairs = [TEXTS[-1 - i] for i in range(len(TEXTS))]
    run = lr.score(bundle, rows(second=pairs), tmp_path / "run", text_pair_column="second", progress=False)
    np.testing.assert_allclose(losses(run), torch_losses(model, pairs), atol=1e-4)


def test_a_bundle_that_does_not_say_reads_the_start(bundle: lr.ModelBundle, model: Path, tmp_path: Path) -> None:
    plain = lr.export(build("bert", tmp_path / "m"), tmp_path / "plain", int8=False, progress=False)
    assert "long_text" not in plain.to_dict()
    assert plain.sha256 != bundle.sha256
    run = lr.score(plain, rows(), tmp_path / "run", progress=False)
    assert run.directory.manifest.options.long_text == "head"
