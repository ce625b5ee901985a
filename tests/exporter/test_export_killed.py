"""An export that is killed or stopped while it replaces a bundle leaves the old one or the new one, whole."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.errors import OutputError
from exporter.output import replacing
from scorer import BundleError, ModelBundle, files
from tests.support import ROOT
from tests.support.facts import tells
from tests.support.tiny import make_bundle, weights

# Replaces a bundle by another one, and is killed before or after the folders are exchanged, or after so many of the
# renames that take the place of the exchange where the file system has none.
PROGRAM = """
import os, shutil, signal, sys
from pathlib import Path
import scorer.files
from exporter.output import replacing
rename, exchanged, moment = Path.rename, scorer.files._exchanged, sys.argv[3]
left = int(moment) if moment.isdecimal() else -1
def killed():
    os.kill(os.getpid(), signal.SIGKILL)
def exchanging(one, other):
    if moment == "before":
        killed()
    if moment == "after":
        assert exchanged(one, other)
        killed()
    return False
def killing(path, target):
    global left
    if left == 0:
        killed()
    left -= 1
    return rename(path, target)
scorer.files._exchanged, Path.rename = exchanging, killing
with replacing(Path(sys.argv[1]), force=True) as folder:
    shutil.copytree(sys.argv[2], folder, dirs_exist_ok=True)
killed()
"""


@pytest.mark.parametrize(
    ("moment", "survivor"), [("before", "old"), ("after", "new"), (0, "old"), (1, None), (2, "new"), (3, "new")]
)
@pytest.mark.parametrize("through", ["load", "export"])
def test_a_killed_replacement_leaves_a_whole_bundle(
    tmp_path: Path, moment: object, survivor: str | None, through: str
) -> None:
    old, new = make_bundle(tmp_path / "bundle"), make_bundle(tmp_path / "new", table=weights(seed=1))
    hashes = {"old": old.sha256, "new": new.sha256}
    program = [sys.executable, "-c", PROGRAM, str(old.path), str(new.path), str(moment)]
    assert subprocess.run(program, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    if through == "export":
        with pytest.raises(ValueError, match="no"), replacing(old.path, force=True):
            raise ValueError("no")  # an export that fails, which puts the bundle back first
        survivor = survivor or "old"
    if survivor is None:  # a reader must not rename: an export may be between its renames right now
        (aside,) = tmp_path.glob(".bundle.*.old")
        with pytest.raises(BundleError) as refused:
            ModelBundle.load(old.path)
        assert tells(refused.value, old.path, aside, "rename")
        assert ModelBundle.load(aside).sha256 == old.sha256
    else:
        assert ModelBundle.load(old.path).sha256 == hashes[survivor]


@pytest.mark.parametrize("renames", [0, 1, 2, 3])
def test_ctrl_c_after_the_exchange_or_any_rename_leaves_a_bundle_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    old, new = make_bundle(tmp_path / "bundle"), make_bundle(tmp_path / "new", table=weights(seed=1))
    rename, exchanged, calls = Path.rename, files._exchanged, []

    def exchanging(one: Path, other: Path) -> bool:
        if renames == 0:
            assert exchanged(one, other)
            raise KeyboardInterrupt
        return False

    def interrupted(path: Path, target: Path) -> Path:
        moved = rename(path, target)
        calls.append(path)
        if len(calls) == renames:
            raise KeyboardInterrupt
        return moved

    monkeypatch.setattr(files, "_exchanged", exchanging)
    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), replacing(old.path, force=True) as folder:
        shutil.copytree(new.path, folder, dirs_exist_ok=True)
    assert ModelBundle.load(old.path).sha256 == (old if renames == 1 else new).sha256
    assert not list(tmp_path.glob(".bundle*"))


def test_a_file_that_somebody_puts_into_the_bundle_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, real = make_bundle(tmp_path / "bundle"), os.fsync

    def fsync(descriptor: int) -> None:
        (old.path / "thesis.txt").write_text("years")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OutputError, match=r"thesis\.txt"), replacing(old.path, force=True) as folder:
        (folder / "bundle.json").write_text("{}")
    assert (old.path / "thesis.txt").read_text() == "years"
    assert ModelBundle.load(old.path).sha256 == old.sha256


def aside(path: Path) -> Path:
    """Rename a folder as a replacement does that is killed between its renames."""
    return path.rename(path.with_name(f".{path.name}.{'0' * 32}.old"))


def test_the_bundle_behind_a_link_is_found_where_it_was_left(tmp_path: Path) -> None:
    make_bundle(tmp_path / "v1")
    (tmp_path / "current").symlink_to("v1")
    left = aside(tmp_path / "v1")
    with pytest.raises(BundleError) as refused:
        ModelBundle.load(tmp_path / "current")
    assert tells(refused.value, tmp_path / "current", left, tmp_path / "v1")


def test_a_bundle_that_can_not_be_put_back_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_bundle(tmp_path / "bundle")
    aside(tmp_path / "bundle")

    def refused(path: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path), None, str(target))

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(OutputError, match=r"bundle .*Permission denied"), replacing(tmp_path / "bundle", force=True):
        pass


def test_folders_are_exchanged_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader finds a bundle at any moment."""
    old = make_bundle(tmp_path / "bundle")

    def refused(path: Path, target: Path) -> None:
        raise AssertionError(f"{path} was renamed to {target}")

    monkeypatch.setattr(Path, "rename", refused)
    with replacing(old.path, force=True) as folder:
        (folder / "bundle.json").write_text("{}")
    assert (old.path / "bundle.json").read_text() == "{}"


def test_an_old_bundle_that_can_not_be_removed_does_not_fail_the_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, remove = make_bundle(tmp_path / "bundle"), os.rmdir

    def refused(path: object, **arguments: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(os, "rmdir", refused)
        with replacing(old.path, force=True) as folder:
            (folder / "bundle.json").write_text("{}")
    assert os.rmdir is remove
    assert (old.path / "bundle.json").read_text() == "{}"


def test_a_bundle_that_was_never_there_is_not_made_up(tmp_path: Path) -> None:
    (tmp_path / ".bundle.mine.old").mkdir()  # no name that a replacement gives
    with pytest.raises(BundleError, match="bundle"):
        ModelBundle.load(tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
    shutil.rmtree(tmp_path / ".bundle.mine.old")
