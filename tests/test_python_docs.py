"""docs/python.md is made from the docstrings, and its examples run, one after the other."""

import doctest
import re
import shutil
from pathlib import Path

import pytest

import lossrank
from cli.commands.demo import BUNDLE
from docs.make_python import PARTS, TARGET, public_members, public_value, reference
from scorer import ModelBundle
from tests.test_docs import blocks

_DOES_NOTHING = {"Step", "RunStats", "RunStatus", "RankedRow", "Decision", "Logged", "Pulled", "Applied", "Report"} | {
    *("Comparison", "Verification", "BenchResult", "KEEP", "DISCARD"),
    *(name for name in lossrank.__all__ if name.endswith("Error")),
}


def names() -> list[str]:
    return [name for part in PARTS for name in part.names]


def test_the_page_is_what_the_docstrings_say() -> None:
    assert TARGET.read_text() == reference(), "run `make docs`"


def test_the_page_has_every_public_name_and_every_method_of_a_run_once() -> None:
    found = names()
    assert sorted(name for name in found if name in lossrank.__all__) == sorted({*lossrank.__all__} - {"__version__"})
    methods = [name for name, member in public_members(lossrank.Run).items() if callable(member)]
    assert {name.removeprefix("Run.") for name in found if name.startswith("Run.")} == set(methods)
    assert len(found) == len(set(found))


@pytest.mark.parametrize("name", names())
def test_every_name_and_its_members_have_a_docstring(name: str) -> None:
    value = public_value(name)
    assert value.__doc__
    for member, found in public_members(value).items() if isinstance(value, type) else ():
        assert getattr(found, "__func__", found).__doc__, f"{name}.{member}"


_RAISES_NOTHING = {"Run.to_dict"}
_FUNCTIONS = [name for name in names() if name not in _DOES_NOTHING and not name.rpartition(".")[2][0].isupper()]


@pytest.mark.parametrize("name", _FUNCTIONS)
def test_every_function_tells_what_it_raises_and_has_an_example(name: str) -> None:
    doc = public_value(name).__doc__
    assert "Raises:" in doc or name in _RAISES_NOTHING
    assert ">>> " in doc


def test_the_examples_of_the_page_run_in_its_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exported(model: str, output: str, **_: object) -> ModelBundle:
        """Stand in for an export, which takes torch and the hub; tests/test_docs.py runs one."""
        return ModelBundle.load(shutil.copytree(BUNDLE, output))

    monkeypatch.setattr("exporter.export.export_model", exported)
    monkeypatch.chdir(tmp_path)
    text = TARGET.read_text()
    code = [block for block in blocks(text, "python") if block.startswith(">>>")]
    shown = re.findall(r"^ *>>> .*", text, flags=re.MULTILINE)
    test = doctest.DocTestParser().get_doctest("\n".join(code), {}, TARGET.name, str(TARGET), 0)
    assert len(test.examples) == len(shown) > 40
    said: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.REPORT_NDIFF).run(test, out=said.append)
    assert not said, "".join(said)
