"""A model of long texts is compared at its limit, or as near to it as memory and time allow, and says so."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import UNSET

from exporter import ConversionError, ParityError, export_model
from exporter.export import _texts
from exporter.fetch import fetch
from exporter.load import Classifier, load
from exporter.parity import budget, reference
from exporter.parity.budget import SHORT, Cost, Plan, cost_of, planned
from exporter.parity.compare import measure_parity, require_parity
from exporter.parity.reference import Reference, refer
from scorer import ModelBundle
from scorer.model.buckets import Bucket
from scorer.model.session import OrtSession
from tests.support.tiny_models import build

LIMIT, CUT = 1536, 1200
GB = 10**9
# ModernBERT-base, and Qwen2.5 of 0.5 billion weights.
MODERNBERT = Cost(heads=12, hidden=768, layers=22, weights=110_000_000, memory=14 * GB)
QWEN = Cost(heads=14, hidden=896, layers=24, weights=360_000_000, memory=14 * GB)


def test_the_length_is_what_memory_and_time_allow() -> None:
    assert MODERNBERT.longest(8192) == 8192
    assert MODERNBERT.bytes_of(8192) > 12 * 3 * 8192**2 * 4
    assert MODERNBERT.operations(8192) == 2 * 110_000_000 * 8192 + 4 * 8192**2 * 768 * 22
    assert MODERNBERT.longest(512) == 512
    small = replace(MODERNBERT, memory=4 * GB).longest(8192)
    assert 4000 < small < 5000
    assert 3.99 * GB < MODERNBERT.bytes_of(small) <= 4 * GB
    slow = QWEN.longest(32768)
    assert 6000 < slow < 32768
    assert QWEN.operations(slow) <= budget._OPERATIONS < QWEN.operations(slow + 1)
    assert replace(QWEN, memory=0).longest(32768) == SHORT


def test_batches_stay_within_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "available_cores", lambda: 16)
    rows = MODERNBERT.rows(1024)
    assert rows * MODERNBERT.bytes_of(1024) <= MODERNBERT.memory < (rows + 1) * MODERNBERT.bytes_of(1024)
    assert MODERNBERT.threads(8, 1024) == rows // 8 < 16
    assert MODERNBERT.threads(8, 64) == 16
    assert MODERNBERT.threads(8, 8192) == 1


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("long")
    return build("modernbert", folder / "model", max_position_embeddings=LIMIT, num_attention_heads=1)


@pytest.fixture(scope="module")
def classifier(model: Path) -> Classifier:
    return load(fetch(model))


@pytest.fixture(scope="module")
def plan(classifier: Classifier) -> Plan:
    texts, encodings = _texts(classifier)
    return planned(texts, encodings, LIMIT, cost_of(classifier.model))


@pytest.fixture(scope="module")
def truth(classifier: Classifier, plan: Plan) -> Reference:
    return refer(classifier, plan, lambda doing: None)


@pytest.fixture(scope="module")
def exported(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelBundle, list[str]]:
    """The model's bundle, exported within a budget that allows one text of ``CUT`` tokens; and what was said."""
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        allowed = cost_of(load(fetch(model)).model).operations(CUT)
        patch.setattr(budget, "_OPERATIONS", allowed)
        return export_model(model, tmp_path_factory.mktemp("bundle") / "bundle", progress=said.append), said


def test_one_text_and_one_pair_run_at_the_limit(plan: Plan) -> None:
    assert len(plan.texts) == plan.short + 2
    (text, none), (first, second) = plan.texts[plan.short :]
    assert len(text.split()) > LIMIT - 10
    assert none is None
    assert second is not None
    assert len(first.split()) > LIMIT
    assert plan.max_tokens == LIMIT
    assert 500 < plan.longest_short <= SHORT
    assert str(plan) == f"{len(plan.texts)} of {plan.of} texts of up to 1,536 tokens"


def test_what_was_compared_is_said_and_recorded(exported: tuple[ModelBundle, list[str]], plan: Plan) -> None:
    bundle, said = exported
    assert bundle.max_tokens == LIMIT
    for where in ("torch", "onnxruntime"):
        (step,) = [line for line in said if line.startswith("running") and line.endswith(where)]
        assert f"{plan.short + 1} of {plan.of} texts of up to 1,200 tokens instead of 1,536, for" in step
    loaded = ModelBundle.load(bundle.path)
    for parity, longest, texts in (
        (loaded.parity(), CUT, plan.short + 1),
        (loaded.parity("int8"), plan.longest_short, plan.short),
    ):
        assert (parity.max_tokens, parity.texts) == (longest, texts)
    parity = loaded.parity()
    assert parity.attention == "sdpa"
    assert 0 < parity.attention_difference < 1e-4  # type: ignore[operator]
    assert loaded.parity("int8").attention is UNSET


def test_a_wrong_number_in_a_long_text_alone_fails(
    exported: tuple[ModelBundle, list[str]], truth: Reference, plan: Plan
) -> None:
    bundle, _ = exported
    assert require_parity(bundle, truth, lambda doing: None).max_tokens == LIMIT
    moved = truth.logits.copy()
    moved[-1, 0] += 0.01
    with pytest.raises(ParityError, match=r"0\.01\d* away .* text 1 of 2"):
        require_parity(bundle, replace(truth, logits=moved), lambda doing: None)


def test_torch_without_memory_for_a_text_takes_half_of_it(
    classifier: Classifier, plan: Plan, truth: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, said = reference.reference_logits, list[str]()

    def run(model: Any, encodings: Any) -> Any:
        if any(len(encoding["input_ids"]) > 1300 for encoding in encodings):
            short = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 60 bytes")
            raise ConversionError("running failed") from short
        return plain(model, encodings)

    monkeypatch.setattr(reference, "reference_logits", run)
    monkeypatch.setattr(budget, "SHORT", 700)
    found = refer(classifier, plan, said.append)
    assert found.plan.max_tokens == LIMIT // 2
    assert len(found.logits) == len(plan.texts)
    assert said == [f"torch has too little memory; running {found.plan}"]
    monkeypatch.setattr(budget, "SHORT", 1024)
    found = refer(classifier, plan, said.append)
    assert (len(found.plan.texts), len(found.logits)) == (plan.short, plan.short)
    assert found.plan.max_tokens == plan.longest_short


def test_onnxruntime_without_memory_halves_the_batch(
    exported: tuple[ModelBundle, list[str]], truth: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, _ = exported
    plain, sizes, said = OrtSession.run, list[int](), list[str]()

    def run(session: OrtSession, bucket: Bucket) -> Any:
        rows, tokens = bucket.input_ids.shape
        if rows > 2 or tokens > SHORT:
            raise MemoryError("Failed to allocate memory for requested buffer")
        sizes.append(rows)
        return plain(session, bucket)

    monkeypatch.setattr(OrtSession, "run", run)
    parity = require_parity(bundle, truth, said.append)
    assert max(sizes) == 2
    assert (parity.texts, parity.max_tokens) == (truth.plan.short, truth.plan.longest_short)
    assert said == ["onnxruntime has too little memory for 2 texts of 1,536 tokens"]
    assert np.isfinite(parity.max_logit_difference)


def test_a_short_text_without_memory_ends_the_export(
    exported: tuple[ModelBundle, list[str]], truth: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(session: OrtSession, bucket: Bucket) -> Any:
        raise MemoryError("Failed to allocate memory for requested buffer")

    monkeypatch.setattr(OrtSession, "run", run)
    with pytest.raises(ConversionError, match="too little memory"):
        measure_parity(exported[0], truth, "int8")


@pytest.mark.soak
def test_a_limit_of_8192_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = build("modernbert", tmp_path / "model", max_position_embeddings=8192, num_attention_heads=1)
    monkeypatch.setattr(budget, "_OPERATIONS", cost_of(load(fetch(folder)).model).operations(8192))  # for one text
    parity = export_model(folder, tmp_path / "bundle", int8=False).parity()
    assert parity.max_tokens == 8192
    assert parity.max_logit_difference < 1e-4


@pytest.mark.soak
def test_the_default_attention_may_compute_something_else(tmp_path: Path) -> None:
    """transformers 4 leaves out Gemma2's soft cap in SDPA; long texts are then run in eager attention."""
    from tests.families.build import build as build_family
    from tests.families.forms import BY_NAME

    gemma = load(fetch(str(build_family(BY_NAME["gemma2"], tmp_path / "gemma2"))))
    texts, encodings = _texts(gemma)
    found = refer(gemma, planned(texts, encodings, 64, cost_of(gemma.model)), lambda doing: None)
    if found.attention is None:  # as in transformers 5
        assert found.attention_difference is None
    else:
        assert found.attention_difference is not None
        assert 1e-5 < found.attention_difference < 1e-2
