"""Turn docstrings into Markdown, and functions into signatures."""

import ast
import inspect
import json
import re
import textwrap
from typing import Any

_WIDTH = 100  # characters of a signature on one line
# What a reader knows of types that only the code's checks need.
_TYPES = {
    **{"Count": "int", "Positive": "int", "Index": "int", "Number": "float", "Amount": "float"},
    **{"_Names": "tuple[str, ...]", "Scoring": "Progress"},
}
_TITLES = {"Args:": "Arguments", "Attributes:": "Attributes", "Raises:": "Raises"}
_ITEM = re.compile(r"((?:\w+|\*+\w+)(?:, \w+)*): (.*)")


def markdown(doc: str) -> str:
    """Return a docstring as Markdown: paragraphs, lists of arguments, attributes and errors, and the example's code."""
    shown: list[str] = []
    for block in re.split(r"\n(?=(?:Args|Attributes|Returns|Raises|Example):$)", doc, flags=re.MULTILINE):
        heading, _, body = block.partition("\n")
        if heading == "Example:":
            shown += [f"```python\n{textwrap.dedent(body).strip()}\n```"]
        elif heading == "Returns:":
            shown += [f"**Returns** {inline(body)}"]
        elif heading in _TITLES:
            shown += [f"**{_TITLES[heading]}**\n\n{_items(textwrap.dedent(body))}"]
        else:
            shown += [_prose(block)]
    return "\n\n".join(part for part in shown if part) + "\n"


def _prose(text: str) -> str:
    """Return paragraphs, each on one line; lists keep their lines."""
    paragraphs = (paragraph for paragraph in text.strip().split("\n\n") if paragraph)
    return "\n\n".join(
        re.sub(r"\n  +(?!- )", " ", paragraph) if paragraph.startswith("- ") else inline(paragraph)
        for paragraph in paragraphs
    ).replace("``", "`")


def _items(text: str) -> str:
    items: list[str] = []
    for line in text.strip().splitlines():
        if not line.startswith(" ") and (found := _ITEM.fullmatch(line)):
            names = ", ".join(f"`{name}`" for name in found[1].split(", "))
            items.append(f"- {names}: {found[2]}")
        else:
            items[-1] += f" {line.strip()}"
    return "\n".join(items).replace("``", "`")


def inline(text: str) -> str:
    return " ".join(text.split()).replace("``", "`")


def signature(owner: str, code: Any) -> str:
    """Return a function's signature as it is written in the source, with ``owner`` before its name."""
    node: Any = ast.parse(textwrap.dedent(inspect.getsource(code))).body[0]
    spec = node.args
    positional = [*spec.posonlyargs, *spec.args]
    defaults = [None] * (len(positional) - len(spec.defaults)) + list(spec.defaults)
    parts = [_argument(arg, value, code) for arg, value in zip(positional, defaults, strict=True)]
    if positional and positional[0].arg in ("self", "cls"):
        parts = parts[1:]
    if spec.kwonlyargs:
        parts.append("*")
    parts += [_argument(arg, value, code) for arg, value in zip(spec.kwonlyargs, spec.kw_defaults, strict=True)]
    if spec.kwarg:
        parts.append(f"**{_argument(spec.kwarg, None, code)}")
    name, returns = f"{owner}.{node.name}", annotation(node.returns)
    line = f"{name}({', '.join(parts)}) -> {returns}"
    if len(line) <= _WIDTH:
        return line
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f") -> {returns}"


def _argument(arg: ast.arg, default: ast.expr | None, code: Any) -> str:
    shown = arg.arg if arg.annotation is None else f"{arg.arg}: {annotation(arg.annotation)}"
    if default is None:
        return shown
    value = code.__globals__[default.id] if isinstance(default, ast.Name) else ast.literal_eval(default)
    written = json.dumps(value) if isinstance(value, str) else repr(value)
    return f"{shown} = {written}"


def annotation(node: ast.expr | None) -> str:
    shown = "None" if node is None else ast.unparse(node).replace("'", "").replace(" | UnsetType", "")
    for name, known in _TYPES.items():
        shown = re.sub(rf"(?<![\w.]){re.escape(name)}\b", known, shown)
    return shown
