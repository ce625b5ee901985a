"""refuse_columns(): stop at a table with the columns of an annotation tool, which only JSON files are read as."""

from typing import Any

import pyarrow as pa

from scorer.errors import SourceError

_ANSWERS = ("accept", "reject", "ignore")
_HASHES = {"_input_hash", "_task_hash"}


def refuse_columns(schema: pa.Schema) -> None:
    """Raise SourceError if a table's columns are those of an annotation tool, and no column of labels was named.

    A column alone doesn't say whether its label counts: a rejected answer and a model's suggestion look like labels.

    Raises:
        SourceError: the columns are those of Prodigy, Argilla, Label Studio or spaCy.
    """
    tool = _tool(schema)
    if tool is not None:
        raise SourceError(
            f"the columns are those of {tool}, where no column alone holds the labels; write the rows as JSON lines, "
            "which are read for what they say (pandas: df.to_json('rows.jsonl', orient='records', lines=True)), or "
            "name the column of the labels with `label_column`"
        )


def refuse_answers(answers: list[Any]) -> None:
    """Raise SourceError if the column ``answer`` of a table has Prodigy's words, and no column of labels was named.

    Raises:
        SourceError: all answers are accept, reject or ignore.
    """
    if answers and all(answer is None or answer in _ANSWERS for answer in answers) and any(answers):
        raise SourceError(
            "the column 'answer' has Prodigy's accept, reject or ignore, which say whether a label counts; write the "
            "rows as JSON lines, which are read so (pandas: df.to_json('rows.jsonl', orient='records', lines=True)), "
            "or name the column of the labels with `label_column`"
        )


def _tool(schema: pa.Schema) -> str | None:
    names = set(schema.names)
    if "answer" in names and names & _HASHES:
        return "Prodigy"
    if any(f"{name}.status" in names for name in names if name.endswith(".responses")):
        return "Argilla"
    if {"annotation", "prediction", "status"} <= names and names & {"inputs", "multi_label"}:
        return "Argilla 1"
    if any(f"{name}-suggestion" in names and "status" in _keys(schema, name) for name in names):
        return "Argilla 1"
    if pa.types.is_struct(_kind(schema, "data")) and {"result"} <= _keys(schema, "annotations"):
        return "Label Studio"
    cats = _kind(schema, "cats")
    if pa.types.is_struct(cats) and "label" not in names and all(map(_is_number, cats)):
        return "spaCy's cats"
    return None


def _kind(schema: pa.Schema, name: str) -> pa.DataType:
    return schema.field(name).type if name in schema.names else pa.null()


def _keys(schema: pa.Schema, name: str) -> set[str]:
    """Return the keys of a column of objects, or of lists of objects."""
    kind = _kind(schema, name)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    return {field.name for field in kind} if pa.types.is_struct(kind) else set()


def _is_number(field: pa.Field) -> bool:
    return any(test(field.type) for test in (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean))
