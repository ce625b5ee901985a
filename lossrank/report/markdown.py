"""Render the report as Markdown, with every text of the data escaped."""

from typing import Any

from lossrank.report.wording import (
    chosen,
    count,
    decided,
    facts,
    left_out,
    measured,
    moment,
    number,
    percent,
    status,
    text,
    unmatched,
    worst_classes,
)
from scorer.text import escape

_LONGEST = 300  # characters of a text that a table shows


def markdown(document: dict[str, Any]) -> str:
    """Return the document as GitHub-flavoured Markdown; texts are truncated to 300 characters."""
    parts = [_head(document)]
    if not document["no_labels"]:
        parts += [_losses(document["histogram"]), _classes(document), _pairs(document["pairs"])]
    parts.append(_worst(document))
    if document["review"]:
        parts.append(_review(document))
    parts += [_statuses(document), _how(document)]
    return "\n".join(parts)


def _head(document: dict[str, Any]) -> str:
    when = f" on {moment(document['scored_at'])}" if document["scored_at"] else ""
    lines = [
        f"# Label report: {escape(document['data'])}",
        "",
        f"{count(document['rows'])} rows, scored by {escape(document['model'])}{when}; "
        f"report made on {moment(document['made'])}.",
        "",
    ]
    if not document["no_labels"]:
        lines += [
            f"- mean loss: {number(document['mean_loss'], 4)} nats",
            f"- accuracy: {percent(document['accuracy'], 2)} of the given labels are the class that the model predicts",
            f"- rows where the model disagrees with the given label: {count(document['disagreeing'])}",
        ]
    lines.append(f"- rows with a loss: {count(document['scored'])}")
    if document["truncated"] is not None:
        lines.append(f"- truncated texts: {count(document['truncated'])}")
    for note in (document["no_labels"], document["int8_note"]):
        lines += ["", note] if note else []
    return "\n".join(lines) + "\n"


def _losses(histogram: dict[str, Any]) -> str:
    edges = histogram["edges"]
    rows = [
        [f"{low:g} and more" if high is None else f"{low:g} to {high:g}", count(agree), count(disagree)]
        for low, high, agree, disagree in zip(
            edges[:-1], edges[1:], histogram["agree"], histogram["disagree"], strict=True
        )
    ]
    return _section("Loss", ["nats", ">model agrees", ">model disagrees"], rows)


def _classes(document: dict[str, Any]) -> str:
    rows = [
        [
            escape(counts["name"]),
            count(counts["given"]),
            count(counts["predicted"]),
            number(counts["mean_loss"]),
            percent(counts["accuracy"]),
        ]
        for counts in worst_classes(document["classes"])
    ]
    head = ["class", ">given", ">predicted", ">mean loss", ">accuracy"]
    table = _section("Classes", head, rows, left_out(document["classes"]).removesuffix("."))
    names, shown = document["class_names"], document["most_confused"]
    title = "Given (down) and predicted (across)"
    if len(shown) < len(names):
        title += f", the {len(shown)} most confused of {len(names)} classes"
    matrix = [[escape(names[i]), *map(count, row)] for i, row in zip(shown, document["confused_matrix"], strict=True)]
    return f"{table}\n{_section(title, ['', *(f'>{escape(names[j])}' for j in shown)], matrix)}"


def _pairs(pairs: list[dict[str, Any]]) -> str:
    rows = [
        [escape(pair["given"]), escape(pair["predicted"]), count(pair["rows"]), percent(pair["share"])]
        for pair in pairs
    ]
    return _section("Most confused", ["given", "predicted", ">rows", ">share of given class"], rows)


def _worst(document: dict[str, Any]) -> str:
    worst, by = document["worst"], measured(document["worst"])
    if not worst["rows"]:
        return f"## The worst 0 rows\n\n{escape(unmatched(worst, document['by_precision']))}\n"
    labelled, reviewed = not document["no_labels"], bool(document["review"])
    texts = worst["text_columns"] if worst["texts"] else []
    ids = any(row["id"] is not None for row in worst["rows"])
    head = [">\\#", ">row", *(["id"] if ids else []), *([">loss"] if labelled else []), *([f">{by}"] if by else [])]
    head += [*(["given"] if labelled else []), "predicted", *map(escape, texts), *(["decision"] if reviewed else [])]
    rows = []
    for row in worst["rows"]:
        line = [str(row["rank"]), str(row["row"])]
        line += [escape(row["id"] or "")] if ids else []
        line += [number(row["loss"])] if labelled else []
        line += [number(row[by])] if by else []
        line += [f"{escape(row['given_name'] or '')} {percent(row['label_prob'])}"] if labelled else []
        line.append(f"{escape(row['predicted_name'])} {percent(row['top_prob'])}")
        for name in texts:
            value = text(row, name)
            line.append(escape(value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"))
        line += [escape(decided(row["decision"]))] if reviewed else []
        rows.append(line)
    note = f"\n{worst['precision_note']}.\n" if worst["precision_note"] else ""
    return f"{_section(f'The worst {len(rows):,} rows', head, rows, escape(chosen(worst)))}{note}"


def _review(document: dict[str, Any]) -> str:
    verdicts = ("kept", "relabelled", "discarded", "unreviewed")
    rows = [[verdict, count(document["review"][verdict])] for verdict in verdicts]
    return _section("Review", ["", ">rows"], rows)


def _statuses(document: dict[str, Any]) -> str:
    rows = [[escape(name), count(rows), status(name)] for name, rows in document["by_status"].items()]
    if document["truncated"] is not None:
        rows.append(["truncated", count(document["truncated"]), "have more tokens than the model reads"])
    unknown = document["how"]["unknown_labels"] or {}
    table = _section("Rows by status", ["status", ">rows", "these rows"], rows)
    names = ", ".join(f"{escape(name)} ({rows:,} rows)" for name, rows in unknown.items())
    return f"{table}\nUnknown labels: {names}.\n" if unknown else table


def _how(document: dict[str, Any]) -> str:
    return _section("How it was run", ["what", "value"], [[name, escape(value)] for name, value in facts(document)])


def _section(title: str, head: list[str], rows: list[list[str]], intro: str = "") -> str:
    """Return a heading, the ``intro`` and a table; a column whose name in ``head`` begins with > is aligned right."""
    if not rows:
        return f"## {title}\n\nNone.\n"
    names = [name.removeprefix(">") for name in head]
    rule = ["---:" if name.startswith(">") else "---" for name in head]
    table = "\n".join("| " + " | ".join(line) + " |" for line in [names, rule, *rows])
    return f"## {title}\n\n" + (f"{intro}.\n\n" if intro else "") + table + "\n"
