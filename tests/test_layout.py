"""The layout: imports go down only, no files or folders import each other in a circle, and files stay small."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT

# Each package may import those to its right; within scorer each folder those to its right.
PACKAGES = ("benchmarks", "cli", "lossrank", "exporter", "scorer")
FOLDERS = ("audit", "bench", "pipeline", "run", "model", "data")
SIBLINGS = {"audit", "bench"}  # neither imports the other
Edges = list[tuple[str, str]]
START = "lossrank.__main__"  # the program starts here, and hands over to the command line
MOST_LINES, MOST_FILES = 310, 16


def modules() -> dict[str, Path]:
    """Return the project's modules by name."""
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


MODULES = modules()


def imports(file: Path, *, typing: bool = True) -> Iterator[str]:
    """Yield the project's modules that a file imports, also within functions; without ``typing`` those at run time."""
    tree = ast.parse(file.read_text())
    skipped = set()
    if not typing:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                skipped |= {id(inner) for statement in node.body for inner in ast.walk(statement)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield from [name for name in (f"{node.module}.{alias.name}", node.module) if name in MODULES][:1]
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)


@pytest.fixture(scope="module")
def edges() -> Edges:
    """Every module and each that it imports, in order."""
    return sorted({(name, other) for name, file in MODULES.items() for other in imports(file) if name != other})


def test_packages_import_only_what_lies_below_them(edges: Edges) -> None:
    up = [
        (name, other)
        for name, other in edges
        if PACKAGES.index(name.split(".")[0]) > PACKAGES.index(other.split(".")[0]) and name != START
    ]
    assert up == []
    assert len(edges) > 500


def test_folders_of_scorer_import_only_what_lies_below_them(edges: Edges) -> None:
    def folder(name: str) -> str | None:
        parts = name.split(".")
        return parts[1] if parts[0] == "scorer" and len(parts) > 1 and parts[1] in FOLDERS else None

    for name, other in edges:
        above, below = folder(name), folder(other)
        if above is None and name.startswith("scorer.") and name != "scorer":
            assert below is None, f"{name}, which every folder may import, imports {other}"
        if above and below and above != below:
            assert FOLDERS.index(above) < FOLDERS.index(below), f"{name} imports {other}"
            assert {above, below} != SIBLINGS, f"{name} imports {other}"


def test_nothing_within_a_package_imports_the_names_that_the_package_hands_on(edges: Edges) -> None:
    faces = {name for name, file in MODULES.items() if file.name == "__init__.py" and "." not in name}
    assert [(name, other) for name, other in edges if other in faces and name.startswith(f"{other}.")] == []


def circles(edges: dict[str, set[str]]) -> list[str]:
    """Return what is left when all that imports nothing of the rest has been taken away, again and again."""
    left = dict(edges)
    while free := [name for name, others in left.items() if not others & set(left)]:
        for name in free:
            del left[name]
    return sorted(left)


def test_no_files_import_each_other_in_a_circle() -> None:
    # A package's __init__.py hands names on lazily; what imports the package takes a name from below it.
    files = {name for name, file in MODULES.items() if file.name != "__init__.py"}
    edges: dict[str, set[str]] = {name: set(imports(MODULES[name], typing=False)) & files for name in files}
    left = circles(edges)
    # Files that lead into a circle are left over too: take away what nothing imports.
    while roots := [name for name in left if not any(name in edges[other] for other in left)]:
        left = [name for name in left if name not in roots]
    assert left == []


def test_no_two_folders_import_each_other(edges: Edges) -> None:
    def folder(name: str) -> str:
        file = MODULES[name]
        return str(file.parent.relative_to(ROOT))

    pairs = {(folder(name), folder(other)) for name, other in edges if name != START}
    # A folder's own files stand before those of its subfolders, and share what these need.
    apart = {(a, b) for a, b in pairs if not f"{a}/".startswith(f"{b}/") and not f"{b}/".startswith(f"{a}/")}
    both = sorted((a, b) for a, b in apart if (b, a) in apart and a < b)
    assert both == []


@pytest.mark.parametrize("package", [*PACKAGES, "tests", "docs"])
def test_folders_and_files_stay_small(package: str) -> None:
    folders: dict[Path, int] = {}
    for file in (ROOT / package).rglob("*.py"):
        folders[file.parent] = folders.get(file.parent, 0) + 1
        lines = len(file.read_text().splitlines())
        assert lines <= MOST_LINES, f"{file.relative_to(ROOT)} has {lines} lines"
    for folder, count in folders.items():
        assert count <= MOST_FILES, f"{folder.relative_to(ROOT)} has {count} Python files"
