"""Tables with the columns of an annotation tool: Parquet files, tables in memory and data sets."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import SourceError
from scorer.data.annotations.columns import refuse_columns
from tests.scorer.data.annotations.test_argilla import classified, feedback, flat
from tests.scorer.data.annotations.test_label_studio import annotation, choice, task
from tests.scorer.data.annotations.test_prodigy import binary
from tests.scorer.data.annotations.test_prodigy import choice as prodigy_choice

GIVEN = [{"user_id": "u", "value": "a", "status": "submitted"}]
EXPORTS = {
    "Prodigy": [binary("a", "X", "reject", 1)],
    "Prodigy, choice": [prodigy_choice("a", ["OTHER"])],
    "Argilla": [flat(1, ["a"], ["submitted"])],
    "Argilla 1": [classified(1, "a")],
    "Argilla 1, feedback": [feedback(1, GIVEN)],
    "Argilla 1, columns": [feedback(1, {"user_id": ["u"], "value": ["a"], "status": ["submitted"]})],
    "Label Studio": [task(1, annotation(choice("World"))) | {"meta": {"seen": 1}}],
    "spaCy's cats": [{"text": "a", "cats": {"A": 1.0, "B": 0.0}}],
}


@pytest.mark.parametrize("tool", EXPORTS)
def test_the_columns_of_a_tool_are_refused(tool: str, tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(EXPORTS[tool]), tmp_path / "a.parquet")
    with pytest.raises(SourceError) as caught:
        refuse_columns(pq.read_schema(tmp_path / "a.parquet"))
    line = str(caught.value)
    assert line.startswith(f"the columns are those of {tool.split(',')[0]}, where")
    assert "df.to_json('rows.jsonl', orient='records', lines=True)" in line
    assert "`label_column`" in line
    assert len(line) <= 350


@pytest.mark.parametrize(
    "row",
    [
        {"question": "a", "answer": "accept"},
        {"text": "a", "label": "b", "answer": "reject", "status": "open"},
        {"text": "a", "annotation": "b", "status": "Validated"},
        {"text": "a", "label": "b", "cats": {"tom": 1}},
        {"text": "a", "label": "b", "label-suggestion": "c"},
        {"text": "a", "data": {"x": 1}, "annotations": ["b"], "label": "c"},
        {"text": "a", "cats": [1, 2], "class": 1},
        {"text": "a", "cats": {"name": "tom"}, "class": 1},
    ],
)
def test_other_columns_are_not(row: dict[str, Any]) -> None:
    refuse_columns(pa.Table.from_pylist([row]).schema)
