"""What a notebook shows of a ranking: the rows to read, with the measure that ranked them."""

import re

import pyarrow as pa
import pytest

import lossrank as lr
from scorer import ModelBundle


@pytest.fixture(scope="module")
def run(rows: pa.Table, tiny_bundle: ModelBundle, tmp_path_factory: pytest.TempPathFactory) -> lr.Run:
    return lr.score(tiny_bundle, rows, tmp_path_factory.mktemp("ranking") / "run", progress=False)


@pytest.mark.parametrize(
    ("by", "measures"),
    [
        ("loss", ["loss"]),
        ("margin", ["loss", "margin"]),
        ("entropy", ["loss", "entropy"]),
        ("self-confidence", ["loss", "label_prob"]),
    ],
)
def test_the_first_rows_with_their_measure_and_the_columns_of_the_data(
    run: lr.Run, by: str, measures: list[str]
) -> None:
    worst = run.worst(50, by=by)
    html = worst._repr_html_()
    heads = re.findall("<th>(.*?)</th>", html)
    assert sorted(heads) == sorted(["rank", "row", "given", "predicted", *measures, "text", "label", "note"])
    assert html.count("<tr>") == 1 + 20
    assert "20 of 50 rows" in html
    assert worst.to_pandas()["note"][19] in html
    assert "<p>" not in worst[:3]._repr_html_()
