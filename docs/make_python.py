"""Write docs/python.md from the docstrings of `import lossrank`: python -m docs.make_python."""

import ast
import importlib
import inspect
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lossrank
from docs.docstrings import annotation, inline, markdown, signature

TARGET = Path(__file__).parent / "python.md"
_OWN = ("lossrank", "scorer")  # the packages whose classes are documented
_PIECES = {
    "scorer.model.bundle_manifest": ("Variant", "Parity"),
    "scorer.run.manifest": ("RunColumns", "ScreenReport", "HistoryEntry"),
    "scorer.pipeline.loop": ("Progress",),
    "scorer.run.health": ("ClassHealth", "ConfusedPair", "LossHistogram"),
    "lossrank.review.records": ("Refusal",),
    "lossrank.review.agree": ("Disagreement",),
    "lossrank.review.decision": ("Answer",),
    "lossrank.review.compare": ("Group", "Moved"),
    "scorer.run.integrity": ("Finding",),
}


@dataclass(frozen=True)
class Part:
    """A part of the page: its introduction, and the names in it, in an order in which the examples can run."""

    title: str
    names: tuple[str, ...]
    text: str = ""


PARTS = (
    Part("Export a model, or load a bundle", ("export", "load_bundle", "ModelBundle")),
    Part(
        "Score a data set",
        (
            *(
                "score",
                "import_probs",
                "open_run",
                "Run",
                "RunStats",
                "Run.to_dict",
                "Run.to_arrow",
                "Run.to_pandas",
                "Step",
            ),
            *("write_label_map", "LabelTemplate"),
        ),
    ),
    Part("Look at the worst rows", ("Run.worst", "Ranking", "RankedRow", "Run.health", "Health")),
    Part(
        "Review the rows",
        (
            *("Run.log", "Logged", "Run.review", "Review", "Run.decide", "KEEP", "DISCARD"),
            *("Run.pull", "Pulled", "Run.decisions", "Decisions", "Decision"),
        ),
    ),
    Part("Publish the result", ("Run.apply", "Applied", "Run.report", "Report")),
    Part(
        "Compare and check",
        (
            *("diff", "Comparison", "Run.verify", "verify", "Verification"),
            *("Run.status", "status", "RunStatus", "bench", "BenchResult"),
        ),
    ),
    Part(
        "Errors",
        (
            *("LossrankError", "ArgumentError", "SourceError", "LabelError", "BundleError", "DeviceError"),
            *("RunError", "ReviewError", "ExportError"),
        ),
        "Every error that you can fix is a `LossrankError`. Its message is one line: what was received, what is "
        "allowed, and the fix.",
    ),
    Part(
        "Parts of results",
        tuple(name for names in _PIECES.values() for name in names),
        "The fields of results above have these types. They are not names of `lossrank`.",
    ),
)

_START = """# lossrank in Python

This page is made from the docstrings of `import lossrank` by `make docs`; don't edit it.

lossrank finds the mislabelled rows of a text-classification data set. A trained classifier scores every row, and the
rows whose given label it finds least likely come first, for a person to review. The whole workflow, here with a model
and a data set of the Hugging Face hub:

```python
import datasets
import lossrank as lr

data = datasets.load_dataset("ag_news", split="test")
bundle = lr.export("andi611/distilbert-base-uncased-ner-agnews", "bundle")  # once; from then on no torch is needed
run = lr.score(bundle, data, "run", label_column="label")  # the loss of every row
run.worst(500)  # the worst rows: a table in a notebook, or .to_pandas()
run.health()  # classes and confusions; charts in a notebook
run.log(to="rubrix", name="ag_news_error_analysis", top=500)  # to a review tool, or:
page = run.review()  # the review page, served on this machine until page.stop()
run.decide({154: "Business", 348: "Sports", 344: lr.KEEP}, annotator="ann")  # or decide in Python
run.pull()  # what people decided in the review tool
run.decisions()  # all decisions, as a table
corrected = run.apply(allow_test_split=True)  # a datasets.Dataset with the labels that people decided on
run.report("report.html")
```

`pip install '.[cpu]'` in a clone of lossrank is enough to score; `export` needs `'.[cpu,export]'`, and `datasets`
`'.[cpu,datasets]'`. In a notebook or a terminal, slow functions show a progress bar; nothing else is printed.

## The examples

The examples below run one after the other. They use the model and data of `lossrank demo`, which come with the package
and need no network: `BUNDLE` is the folder of a small classifier of news, and `rows` are the first 500 rows of AG News'
test split. For your own work, put the folder that `export` wrote in place of `BUNDLE`, and your DataFrame, Dataset or
file in place of `rows`.

```python
>>> import lossrank as lr
>>> import pyarrow.parquet as pq
>>> from cli.commands.demo import BUNDLE, DATA
>>> rows = pq.read_table(DATA).slice(0, 500)
>>> rows.column_names
['text', 'label']
```

## Words

- A row's **loss** is `-log(probability of its given label)`, in nats: 0 if the model is certain of the label, 0.7 at a
  probability of one half, 7 at one in a thousand. High is bad.
- **given** is the label in the data, **predicted** the class that the model finds most probable. Classes have names;
  where a class is a number, it is the index in `class_names`, from 0.
- **row** is the number of a row in the data, from 0. It never changes; everything refers to a row by it.
- A **run** is the folder with the scores of a data set. It remembers where rows were sent and what people decided.
- **[n]** and **[C]** say how long a result is: one entry per row, or one per class.
- In signatures, `Data` stands for each kind of data that [score](#score) takes, `OnStep` for a function that takes a
  [Step](#step), `Verdict` for [KEEP](#keep) or [DISCARD](#discard), `pd` for pandas and `pa` for pyarrow.
"""


def reference() -> str:
    """Return the whole page."""
    contents = "".join(f"- {part.title}: {', '.join(map(_link, part.names))}\n" for part in PARTS)
    body = "".join(f"\n## {part.title}\n{_paragraph(part.text)}" + "".join(map(_entry, part.names)) for part in PARTS)
    return f"{_START}\n## Contents\n\n{contents}{body}"


def public_members(kind: type) -> dict[str, Any]:
    """Return the public methods and properties of a class, inherited ones too, in the order of the source."""
    own = [cls for cls in reversed(kind.__mro__) if cls.__module__.partition(".")[0] in _OWN]
    named = dict.fromkeys(name for cls in own for name in vars(cls) if not name.startswith("_"))
    found = {name: inspect.getattr_static(kind, name) for name in named}
    return {name: member for name, member in found.items() if _code(member) is not None or _is_property(member)}


def public_value(name: str) -> Any:
    """Return what a name of the page stands for: a public name, a method such as ``Run.worst``, or a type."""
    owner, _, method = name.rpartition(".")
    if owner:
        return inspect.getattr_static(getattr(lossrank, owner), method)
    module = next((module for module, names in _PIECES.items() if name in names), "lossrank")
    return getattr(importlib.import_module(module), name)


def _entry(name: str) -> str:
    value = public_value(name)
    head = f"\n### {name}\n\n"
    if isinstance(value, type):
        return head + _class(name, value)
    code = _code(value)
    if code is None:  # a constant; its class describes all of its kind
        first = next(other for part in PARTS for other in part.names if public_value(other).__doc__ == value.__doc__)
        return head + (f"See {_link(first)}.\n" if first != name else markdown(inspect.cleandoc(value.__doc__ or "")))
    owner = name.rpartition(".")[0] or "lossrank"
    return f"{head}```python\n{signature(owner, code)}\n```\n\n{markdown(inspect.getdoc(code) or '')}"


def _class(name: str, kind: type) -> str:
    fields = ", ".join(f"`{field}: {shown}`" for field, shown in _fields(kind))
    members = public_members(kind)
    if name not in lossrank.__all__:
        members.pop("to_dict", None)  # the result that holds it is turned into a dictionary
    listed = "".join(_member(name, member, value) for member, value in members.items())
    text = markdown(inspect.getdoc(kind) or "")
    return text + (f"\nFields: {fields}.\n" if fields else "") + (f"\n{listed}" if listed else "")


def _member(owner: str, name: str, value: Any) -> str:
    doc = inspect.getdoc(_code(value) or value) or ""
    if f"{owner}.{name}" in _ANCHORS:
        return f"- {_link(f'{owner}.{name}')}: {inline(doc.partition(chr(10) * 2)[0])}\n"
    if _is_property(value):
        return f"- `{name}`: {markdown(doc).strip().replace(chr(10), f'{chr(10)}  ')}\n"
    line = " ".join(signature(owner, _code(value)).split()).replace("( ", "(").replace(", )", ")")
    return f"- `{line}`\n\n{textwrap.indent(markdown(doc).strip(), '  ')}\n\n"


def _fields(kind: type) -> Iterator[tuple[str, str]]:
    """Yield each field of a dataclass or Struct with its type."""
    for cls in reversed(kind.__mro__):
        has_fields = hasattr(cls, "__dataclass_fields__") or hasattr(cls, "__struct_fields__")
        if has_fields and cls.__module__.partition(".")[0] in _OWN:
            body: Any = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
            for line in body.body:
                if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                    yield line.target.id, annotation(line.annotation)


def _is_property(value: Any) -> bool:
    return isinstance(value, property) or type(value).__name__ == "cached_property"


def _code(value: Any) -> Any:
    """Return the function of a function, method or class method; None for anything else."""
    found = value.__func__ if isinstance(value, classmethod | staticmethod) else value
    return found if inspect.isfunction(found) else None


def _paragraph(text: str) -> str:
    return f"\n{text}\n" if text else ""


def _anchors() -> dict[str, str]:
    """Return each name's anchor on the page, as GitHub makes it: a heading that occurs again gets a number."""
    seen = Counter[str]()
    anchors = {}
    for name in (name for part in PARTS for name in part.names):
        plain = name.lower().replace(".", "")
        anchors[name] = f"{plain}-{seen[plain]}" if seen[plain] else plain
        seen[plain] += 1
    return anchors


_ANCHORS = _anchors()


def _link(name: str) -> str:
    return f"[{name}](#{_ANCHORS[name]})"


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
