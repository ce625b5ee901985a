"""Write the data set card (README.md): how the labels were corrected, below the YAML head that the hub reads."""

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa

from lossrank.publish.card_merge import END, MARK, merged_card
from lossrank.publish.corrected import CorrectedRows
from lossrank.publish.schema import NewColumns, dtype_of
from lossrank.review.decision import DISCARDED, KEPT, RELABELLED, UNREVIEWED
from scorer.address import without_secrets
from scorer.files import file_sha256
from scorer.text import escape

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
          (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"))  # fmt: skip
_MOST_MOVES = 50
_MEANS = {
    KEPT: "a person looked and kept the label",
    RELABELLED: "a person gave it another label",
    DISCARDED: "a person said that it should not be used",
    UNREVIEWED: "nobody looked: the label is unchanged",
}


def write_card(rows: CorrectedRows, file: Path, split: str, form: str, there: Any) -> None:
    """Write the corrected data set's card to ``file``, merged into the existing card ``there`` if there is one."""
    text = card_text(rows, split, form, _content(file.parent / "data"))
    file.write_text(text if there is None else merged_card(text, there, is_whole=True), encoding="utf-8")


def card_text(rows: CorrectedRows, split: str, form: str, content: str) -> str:
    """Return the card: a YAML head, with values written as JSON because that needs no YAML library, and a text.

    ``content`` is a hash of the data files.
    """
    values = _head(rows, split, form, content)
    head = "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items())
    run, columns = rows.run, rows.columns
    counts = rows.decided.counts(run.num_rows)
    name = escape(without_secrets(run.data_name))
    origin = "bundle" if run.manifest.bundle else "imported probabilities"
    reviewed = run.num_rows - counts[UNREVIEWED]
    status = [(f"`{each}`", f"{counts[each]:,}", _MEANS[each]) for each in counts]
    moves = rows.decided.moves()
    moved = [("none" if given is None else escape(given), escape(new), f"{n:,}") for given, new, n in moves]
    more = f"\nand {len(moves) - _MOST_MOVES} more pairs.\n" if len(moves) > _MOST_MOVES else ""
    return "\n".join(
        [
            f"---\n{head}---\n\n{MARK}\n",
            f"# {name}, labels corrected\n",
            f"The {run.num_rows:,} rows of {name}, split {escape(split)}, in their order. People looked at the labels "
            f"of {reviewed:,} of them, found by the loss of the classifier {escape(run.model_name)} with lossrank "
            f"{version('lossrank')}.\n",
            _table(("label_status", "rows", "meaning"), status),
            f"**{counts[UNREVIEWED]:,} rows were not looked at.** Wrong labels among them are unchanged, so this is "
            "not a clean data set, but one with fewer errors.\n",
            "Discarded rows are left out.\n"
            if rows.drop_discarded
            else "Discarded rows are in the data set, with that status.\n",
            "## Changed labels\n",
            _table(("given", "new", "rows"), moved[:_MOST_MOVES]) if moved else "None.\n",
            more,
            "## Columns\n",
            _columns(columns),
            f"The classes are, in the order of the data: {', '.join(map(escape, rows.class_names))}.\n"
            if rows.spelling.class_labels
            else "",
            *(f"{escape(note)}.\n" for note in (*rows.notes, *troubles(rows))),
            "## Where it comes from\n",
            f"- data: {name}, fingerprint `{run.data_fingerprint}`\n"
            f"- classifier: {escape(run.model_name)}, {origin} `{run.manifest.origin.sha256}`\n"
            "- licence and authors: the same as for the data that was corrected; the program that wrote this card does "
            "not know them\n",
            f"{END}\n",
        ]
    )


def troubles(rows: CorrectedRows) -> list[str]:
    """Return notes on unreadable lines and repaired columns, without full stops; call it after writing the rows."""
    found = []
    if rows.unreadable:
        found.append(f"{rows.unreadable:,} lines of the data could not be read, so their columns are null")
    if rows.repaired:
        found.append(f"bytes that are not UTF-8 became U+FFFD in: {', '.join(sorted(rows.repaired))}")
    return found


def _content(folder: Path) -> str:
    """Return a SHA-256 over the SHA-256s of a folder's Parquet files, in name order; no folder counts as empty."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.parquet")):
        digest.update(bytes.fromhex(file_sha256(file)))
    return digest.hexdigest()


def _head(rows: CorrectedRows, split: str, form: str, content: str) -> dict[str, Any]:
    size = next((name for limit, name in _SIZES if rows.num_rows < limit), "n>100M")
    head: dict[str, Any] = {
        "task_categories": ["text-classification"],
        "tags": ["lossrank", "corrected-labels"],
        "size_categories": [size],
    }
    if form == "parquet":
        head["configs"] = [{"config_name": "default", "data_files": [{"split": split, "path": f"data/{split}-*"}]}]
        # `datasets` caches a folder by its name and its card. Without this hash it would return cached rows of an
        # earlier version, or of another folder with the same name.
        head["dataset_info"] = {"description": f"SHA-256 of the files: {content}"}
        if features := _features(rows.schema):
            head["dataset_info"]["features"] = features
    return head


def _features(schema: pa.Schema) -> list[dict[str, Any]] | None:
    """Return the columns as ``features`` for the head; None if a column is neither of plain values nor a ClassLabel."""
    features: list[dict[str, Any]] = []
    known = _known(schema)
    for field in schema:
        feature = known.get(field.name, {"_type": "Value"})
        kind = feature.get("_type") if isinstance(feature, dict) else None
        if kind == "ClassLabel":
            names = {str(i): name for i, name in enumerate(feature["names"])}
            features.append({"name": field.name, "dtype": {"class_label": {"names": names}}})
        elif kind == "Value" and not (pa.types.is_nested(field.type) or pa.types.is_dictionary(field.type)):
            features.append({"name": field.name, "dtype": dtype_of(field.type)})
        else:
            return None
    return features


def _known(schema: pa.Schema) -> dict[str, Any]:
    try:
        found = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _columns(columns: NewColumns) -> str:
    means = [(escape(columns.label), "the label, corrected where a person gave another one")]
    if columns.original:
        means.append((f"`{columns.original}`", "the label before the correction"))
    means.append((f"`{columns.status}`", "see above"))
    said = ("who gave the label", "where: on this machine's page, or the review tool", "when, UTC")
    means += [(f"`{name}`", text) for name, text in zip(columns.reviewers, said, strict=False)]
    return _table(("column", "holds"), means)


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    made = [heads, ["---"] * len(heads), *lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in made)
