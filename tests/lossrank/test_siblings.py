"""siblings: a stranger's scorer, exporter or cli that hides lossrank's own is named in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

OTHERS = [("scorer", "scorer.py"), ("cli", "cli/__init__.py"), ("exporter", "exporter/__init__.py")]


def hide(folder: Path, file: str) -> Path:
    """Make a module of somebody else's that must not be imported."""
    other = folder / file
    other.parent.mkdir(exist_ok=True, parents=True)
    other.write_text("raise RuntimeError('imported')")
    return other


def run_python(*arguments: str, folder: Path, path: list[Path]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("name", "file"), OTHERS)
def test_a_users_own_file_is_named_by_the_command(name: str, file: str, tmp_path: Path) -> None:
    other = hide(tmp_path, file)
    done = run_python("-m", "lossrank", "--help", folder=tmp_path, path=[ROOT])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert str(other) in done.stderr
    assert str(ROOT / name / "__init__.py") in done.stderr


@pytest.mark.parametrize(("name", "file"), OTHERS)
def test_an_installed_package_of_that_name_is_named(name: str, file: str, tmp_path: Path) -> None:
    other = hide(tmp_path / "site-packages", file)
    path = [other.parents[file.count("/")], ROOT]
    script = tmp_path / "bin" / "lossrank"
    script.parent.mkdir()
    script.write_text("from lossrank.__main__ import main\nmain()")
    command = run_python(str(script), "--help", folder=tmp_path, path=path)
    assert (command.returncode, command.stdout) == (1, "")
    assert command.stderr.startswith("Error: ")
    assert command.stderr.count("\n") == 1
    assert str(other) in command.stderr
    library = run_python("-c", "import lossrank", folder=tmp_path, path=path)
    assert library.returncode == 1
    last = library.stderr.splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert str(other) in last
    assert str(ROOT / name / "__init__.py") in last


def test_a_folder_that_is_no_package_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "scorer").mkdir()
    (tmp_path / "cli").mkdir()
    done = run_python("-m", "lossrank", "--version", folder=tmp_path, path=[ROOT])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("lossrank, version ")


def test_lossrank_through_a_link_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(ROOT, target_is_directory=True)
    done = run_python(
        "-c", "import scorer, lossrank; print(scorer.__name__)", folder=tmp_path, path=[tmp_path / "link", ROOT]
    )
    assert (done.returncode, done.stdout) == (0, "scorer\n"), done.stderr
