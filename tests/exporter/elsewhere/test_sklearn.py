"""The recipe of docs/score.md for scikit-learn: the losses are those of its own predict_log_proba."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import lossrank as lr
from exporter.errors import ModelError
from tests.support import ROOT
from tests.support.facts import tells
from tests.support.tiny_models import CORPUS

sklearn_text = pytest.importorskip("sklearn.feature_extraction.text")


def test_a_pipelines_losses_are_its_own(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline

    names = ["Zoo", "art", "Money"]  # in the order of classes_ they are Money, Zoo, art
    texts = [f"{CORPUS[i % len(CORPUS)]} {names[i % 3]} {i}" for i in range(90)]
    labels = [names[(i + (i % 10 == 0)) % 3] for i in range(90)]
    data = pa.table({"text": texts, "label": labels})
    model = make_pipeline(sklearn_text.TfidfVectorizer(), LogisticRegression()).fit(texts, labels)
    assert list(model.classes_) != names

    def found(probs: object, folder: str) -> np.ndarray:
        run = lr.import_probs(data, probs, tmp_path / folder, classes=model.classes_, progress=False)
        losses: np.ndarray = run.to_arrow()["loss"].to_numpy()
        return losses

    column = [list(model.classes_).index(label) for label in labels]
    expected = -model.predict_log_proba(texts)[np.arange(90), column]
    np.testing.assert_allclose(found(model.predict_proba(texts), "in"), expected, rtol=0, atol=1e-6)
    out = cross_val_predict(model, texts, labels, cv=3, method="predict_proba")
    logs = cross_val_predict(model, texts, labels, cv=3, method="predict_log_proba")
    np.testing.assert_allclose(found(out, "out"), -logs[np.arange(90), column], rtol=0, atol=1e-6)
    np.save(tmp_path / "probs.npy", out)
    saved = lr.import_probs(data, tmp_path / "probs.npy", tmp_path / "file", classes=model.classes_, progress=False)
    np.testing.assert_array_equal(saved.to_arrow()["loss"].to_numpy(), found(out, "out"))
    with pytest.raises(ModelError) as refused:
        lr.export(model, tmp_path / "bundle", progress=False)
    assert tells(refused.value, "Pipeline", "lossrank.import_probs", "model.predict_proba", "model.classes_")


def test_the_recipe_of_the_docs_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline

    labels = [("world", "Sports", "business")[i % 3] for i in range(90)]
    data = pa.table({"text": [f"{CORPUS[i % len(CORPUS)]} {labels[i]}" for i in range(90)], "label": labels})
    page = (ROOT / "docs" / "score.md").read_text()
    (recipe,) = (block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "TfidfVectorizer" in block)
    names = {
        **{"lr": lr, "np": np, "data": data.to_pandas(), "make_pipeline": make_pipeline},
        **{"LogisticRegression": LogisticRegression, "cross_val_predict": cross_val_predict},
        "TfidfVectorizer": sklearn_text.TfidfVectorizer,
    }
    monkeypatch.chdir(tmp_path)
    exec(compile(recipe, "docs/score.md", "exec"), names)
    run = names["run"]
    assert run.class_names == ("Sports", "business", "world")
    assert run.stats.accuracy == 1.0
