"""Checkpoints that transformers 5 saved: exact under 5, and refused, never scored wrong, under 4."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter import ModelError, export_model
from exporter.fetch import fetch
from exporter.load import load
from exporter.parity.reference import reference_logits
from exporter.parity.texts import Text
from exporter.tokenizer import encode, load_tokenizer
from scorer import ScoreOptions, score_dataset
from tests.families.forms import SAVED_BY_5
from tests.families.save_by_5 import FOLDER, TEXTS
from tests.support.facts import tells
from tests.support.tiny_models import edit, quiet

transformers = pytest.importorskip("transformers")
VERSION_5 = int(transformers.__version__.split(".")[0]) >= 5


@pytest.mark.skipif(not VERSION_5, reason="needs transformers 5 (make test-transformers5)")
@pytest.mark.parametrize("family", SAVED_BY_5)
@quiet
def test_under_5_its_logits_are_those_that_were_saved(family: str) -> None:
    classifier = load(fetch(str(FOLDER / family), None))
    texts: list[Text] = [(text, None) for text in TEXTS]
    logits = reference_logits(classifier.model, encode(classifier.tokenizer, texts, classifier.max_tokens))
    assert np.abs(logits - json.loads((FOLDER / family / "logits.json").read_text())).max() < 1e-5


@pytest.mark.skipif(not VERSION_5, reason="needs transformers 5 (make test-transformers5)")
@pytest.mark.parametrize("family", ["gpt_neox", "modernbert"])  # `make families` exports the others
@quiet
def test_under_5_the_bundle_gives_the_logits_that_were_saved(family: str, tmp_path: Path) -> None:
    bundle = export_model(FOLDER / family, tmp_path / "bundle", int8=False)
    score_dataset(bundle, pa.table({"text": list(TEXTS)}), tmp_path / "run", ScoreOptions(threads=1))
    probs = np.array(pq.read_table(tmp_path / "run" / "scores").sort_by("row")["probs"].to_pylist())
    logits = np.array(json.loads((FOLDER / family / "logits.json").read_text()))
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.abs(np.log(probs) - np.log(expected)).max() < 1e-5
    assert bundle.exporter == "torch"


@pytest.mark.skipif(VERSION_5, reason="needs transformers 4")
@pytest.mark.parametrize("family", SAVED_BY_5)
@quiet
def test_under_4_it_is_refused_by_the_key_that_4_does_not_read(family: str, tmp_path: Path) -> None:
    saved = json.loads((FOLDER / family / "config.json").read_text())["transformers_version"]
    with pytest.raises(ModelError) as caught:
        export_model(FOLDER / family, tmp_path / "bundle")
    assert tells(
        str(caught.value), "rope_parameters", f"transformers {transformers.__version__}", f"transformers=={saved}"
    )
    assert not (tmp_path / "bundle").exists()


# transformers 5 gives Qwen2's class a pre-tokenizer of its own, which this tokenizer has not.
@pytest.mark.parametrize("family", sorted({*SAVED_BY_5} - {"qwen2"}))
@pytest.mark.parametrize("extra", [None, ["<pad>", "<mask>"]])
@quiet
def test_its_tokenizer_loads_under_both(family: str, extra: list[str] | None, tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    folder = Path(shutil.copytree(FOLDER / family, tmp_path / "model"))
    edit(folder, "tokenizer_config.json", extra_special_tokens=extra)
    words = load_tokenizer(fetch(str(folder), None))
    alone = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert [words(text)["input_ids"] for text in TEXTS] == [alone.encode(text).ids for text in TEXTS]
    assert (words.pad_token_id, words.model_max_length) == (1, 64)
