"""The real classifier on the real data: exported, scored in batches, against torch one row at a time.

``LOSSRANK_ROWS=7600`` compares every row instead of a sample spread over the data.
"""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter import export_model
from scorer import score_dataset
from tests.support import SOAK


@pytest.fixture(scope="module")
def scored(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[pa.Table, pa.Table]:
    """A sample of the test split and its scores."""
    folder = tmp_path_factory.mktemp("real")
    export_model(shared / "models" / "minilm-agnews", folder / "bundle")
    table = pq.read_table(shared / "data" / "ag_news_test.parquet")
    count = int(os.environ.get("LOSSRANK_ROWS", "304"))
    sample = table.take(np.linspace(0, len(table) - 1, count).astype(np.int64))
    score_dataset(folder / "bundle", sample, folder / "run")
    return sample, pq.read_table(folder / "run" / "scores")


@SOAK
def test_losses_are_torchs_one_row_at_a_time(shared: Path, scored: tuple[pa.Table, pa.Table]) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.set_num_threads(1)  # single rows gain nothing from more, and lose much on a busy machine
    folder = shared / "models" / "minilm-agnews"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    sample, scores = scored
    expected = []
    with torch.inference_mode():
        for text, label in zip(sample["text"].to_pylist(), sample["label"].to_pylist(), strict=True):
            logits = model(**tokenizer(text, truncation=True, max_length=512, return_tensors="pt")).logits.double()
            expected.append(torch.nn.functional.cross_entropy(logits, torch.tensor([label])).item())
    assert scores["row"].to_pylist() == list(range(len(sample)))
    difference = np.abs(scores["loss"].to_numpy() - np.array(expected))
    print(f"largest difference of {len(expected)} losses: {difference.max():.2e}")
    assert difference.max() < 1e-4
    assert np.array_equal(np.argsort(scores["loss"].to_numpy())[-20:], np.argsort(expected)[-20:])
