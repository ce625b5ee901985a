"""An export that is killed while it replaces a bundle leaves the old one or the new one, whole."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.output import replacing
from scorer import BundleError, ModelBundle
from tests.support import ROOT
from tests.support.tiny import make_bundle, weights

# Replaces a bundle by another one, and is killed after so many renames; each is at one step of the replacement.
PROGRAM = """
import os, shutil, signal, sys
from pathlib import Path
from exporter.output import replacing
rename, left = Path.rename, int(sys.argv[3])
def killing(path, target):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return rename(path, target)
Path.rename = killing
with replacing(Path(sys.argv[1]), force=True) as folder:
    shutil.copytree(sys.argv[2], folder, dirs_exist_ok=True)
if left == 0:
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("renames", "survivor"), [(0, "old"), (1, "old"), (2, "new"), (3, "new")])
@pytest.mark.parametrize("through", ["load", "export"])
def test_a_killed_replacement_leaves_a_whole_bundle(tmp_path: Path, renames: int, survivor: str, through: str) -> None:
    old, new = make_bundle(tmp_path / "bundle"), make_bundle(tmp_path / "new", table=weights(seed=1))
    hashes = {"old": old.sha256, "new": new.sha256}
    program = [sys.executable, "-c", PROGRAM, str(old.path), str(new.path), str(renames)]
    assert subprocess.run(program, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    if through == "export":
        with pytest.raises(ValueError, match="no"), replacing(old.path, force=True):
            raise ValueError("no")  # an export that fails, which puts the bundle back first
        assert old.path.is_dir()
    assert ModelBundle.load(old.path).sha256 == hashes[survivor]


def test_a_bundle_that_was_never_there_is_not_made_up(tmp_path: Path) -> None:
    (tmp_path / ".bundle.mine.old").mkdir()  # no name that a replacement gives
    with pytest.raises(BundleError, match="bundle"):
        ModelBundle.load(tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
    shutil.rmtree(tmp_path / ".bundle.mine.old")
