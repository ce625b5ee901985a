"""Fixtures of these tests."""

import shutil
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.commands.demo import BUNDLE, DATA
from scorer import ModelBundle, ScoreOptions
from scorer import score_dataset as score
from scorer.files import file_sha256
from scorer.model.bundle_manifest import Variant
from tests.scorer.pipeline.screen_run.helpers import OPTIONS, ROWS, SHARD_ROWS


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """The demo's bundle with an int8 variant, as `export` makes it."""
    import onnx

    from exporter.graph.quantize import quantize

    path = tmp_path_factory.mktemp("int8") / "bundle"
    shutil.copytree(BUNDLE, path)
    plain = ModelBundle.load(path)
    onnx.save(quantize(onnx.load(plain.model_file())).model, path / "model.int8.onnx")
    files = {**plain.files, "model.int8.onnx": file_sha256(path / "model.int8.onnx")}
    variants = {**plain.variants, "int8": Variant(file="model.int8.onnx")}
    msgspec.structs.replace(plain, variants=variants, files=files).save()
    return ModelBundle.load(path)


@pytest.fixture(scope="module")
def news() -> pa.Table:
    """Real rows, some of them twice, one without text, one without a label that is known."""
    table = pq.read_table(DATA).slice(0, ROWS - 100)
    table = pa.concat_tables([table, table.slice(600, 100)])
    texts = table["text"].to_pylist()
    texts[7] = None
    return table.set_column(table.schema.get_field_index("text"), "text", pa.array(texts))


@pytest.fixture(scope="module")
def fp32(bundle: ModelBundle, news: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("fp32") / "run"
    score(bundle, news, run, ScoreOptions(shard_rows=SHARD_ROWS, threads=2))
    return run


@pytest.fixture(scope="module")
def screened(bundle: ModelBundle, news: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("screened") / "run"
    score(bundle, news, run, OPTIONS)
    return run
