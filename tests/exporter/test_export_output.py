"""The output folder: what may be replaced, and that no failure leaves or destroys anything."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter import ExportError, OutputError, ParityError, export_model
from exporter.output import replacing
from scorer import ModelBundle
from tests.support.commands import read_only
from tests.support.facts import facts
from tests.support.tiny_models import build, edit


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("distilbert", tmp_path_factory.mktemp("source") / "model")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model with other class names, so that its bundle is another."""
    folder = build("distilbert", tmp_path_factory.mktemp("source") / "model")
    return edit(folder, id2label={"0": "a", "1": "b", "2": "c", "3": "d"}, label2id=None)


@pytest.fixture(scope="module")
def exported(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of the model, for tests to copy."""
    return export_model(model, tmp_path_factory.mktemp("exported") / "bundle").path


def content(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, hidden ones too, and every folder."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def fails(
    model: Path, output: Path, *named: object, force: bool = False, kind: type[ExportError] = OutputError
) -> None:
    with pytest.raises(kind, match=facts(*named)) as caught:
        export_model(model, output, force=force)
    assert "\n" not in str(caught.value)


def test_a_bundle_is_replaced_with_force_only(other: Path, exported: Path, tmp_path: Path) -> None:
    output = Path(shutil.copytree(exported, tmp_path / "bundle"))
    first = ModelBundle.load(output)
    before = content(tmp_path)
    fails(other, output, output, "`force=True`")
    assert content(tmp_path) == before
    second = export_model(other, output, force=True)
    assert ModelBundle.load(output) == second
    assert second.class_names == ("a", "b", "c", "d") != first.class_names
    assert set(content(tmp_path)) == set(before)


def test_an_existing_output_is_refused_before_anything_is_loaded(model: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "thesis.txt").touch()
    stages: list[str] = []
    with pytest.raises(OutputError):
        export_model(model, tmp_path / "bundle", progress=stages.append)
    assert stages == []


def _parity_fails(monkeypatch: pytest.MonkeyPatch) -> type[BaseException]:
    monkeypatch.setattr("exporter.parity.compare.tolerance", lambda reference: 1e-12)
    return ParityError


def _interrupted_at(stage: str) -> Callable[[pytest.MonkeyPatch], type[BaseException]]:
    def prepare(monkeypatch: pytest.MonkeyPatch) -> type[BaseException]:
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(stage, interrupt)
        return KeyboardInterrupt

    return prepare


@pytest.mark.parametrize(
    "prepare",
    [
        _parity_fails,
        _interrupted_at("exporter.export.load"),
        _interrupted_at("exporter.variants.require_parity"),
        _interrupted_at("scorer.model.bundle.ModelBundle.save"),
        _interrupted_at("scorer.files._take_place"),
    ],
)
@pytest.mark.parametrize("there", [True, False])
def test_a_failure_leaves_nothing_and_the_old_bundle_as_it_was(
    other: Path,
    exported: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[[pytest.MonkeyPatch], type[BaseException]],
    there: bool,
) -> None:
    output = tmp_path / "new" / "parents" / "bundle"
    if there:
        shutil.copytree(exported, output)
    before = content(tmp_path)
    kind = prepare(monkeypatch)
    with pytest.raises(kind):
        export_model(other, output, force=True)
    assert content(tmp_path) == before


@pytest.mark.parametrize("failing", [1, 2])
def test_the_old_bundle_comes_back_if_the_new_one_can_not_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    output = fake_bundle(tmp_path / "bundle")
    before = content(tmp_path)
    calls = []
    real = Path.rename

    def rename(path: Path, target: Path) -> Path:
        calls.append(path)
        if len(calls) == failing:
            raise PermissionError(1, "Operation not permitted", str(path))
        return real(path, target)

    monkeypatch.setattr("scorer.files._exchanged", lambda one, other: False)
    monkeypatch.setattr(Path, "rename", rename)
    with (
        pytest.raises(OutputError, match="Operation not permitted"),
        replacing(output, True) as new,
    ):
        (new / "bundle.json").write_text("{}")
    assert content(tmp_path) == before


def fake_bundle(path: Path) -> Path:
    path.mkdir()
    (path / "bundle.json").write_text(json.dumps({"format": 1, "files": {"model.onnx": "0"}}))
    (path / "model.onnx").write_bytes(b"graph")
    return path


@pytest.mark.parametrize("manifest", [None, "{", "[]", '{"files": 1}', '{"files": {}}', '"text"'])
def test_what_is_not_a_bundle_is_never_replaced(model: Path, tmp_path: Path, manifest: str | None) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.txt").write_text("years of work")
    if manifest is not None:
        (home / "bundle.json").write_text(manifest)
    before = content(tmp_path)
    for force in (True, False):
        fails(model, home, home, "not a bundle", "not even `force=True`", force=force)
    assert content(tmp_path) == before


@pytest.mark.parametrize("stranger", ["notes.txt", ".hidden", "folder"])
def test_a_bundle_with_something_else_in_it_is_not_replaced(model: Path, tmp_path: Path, stranger: str) -> None:
    output = fake_bundle(tmp_path / "bundle")
    (output / stranger).mkdir()
    fails(model, output, output, stranger, force=True)
    assert (output / stranger).is_dir()


def test_a_file_is_not_replaced(model: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle").write_text("text")
    fails(model, tmp_path / "bundle", f"{tmp_path}/bundle", "file", force=True)
    fails(model, tmp_path / "bundle" / "deeper", f"{tmp_path}/bundle/deeper", f"File exists: {tmp_path}/bundle")
    assert (tmp_path / "bundle").read_text() == "text"


def test_an_empty_folder_is_used(model: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    export_model(model, tmp_path / "bundle")
    assert [entry.name for entry in tmp_path.iterdir()] == ["bundle"]
    ModelBundle.load(tmp_path / "bundle")


def test_a_link_to_a_bundle_stays_a_link(model: Path, tmp_path: Path) -> None:
    fake_bundle(tmp_path / "versions-1")
    (tmp_path / "current").symlink_to("versions-1")
    export_model(model, tmp_path / "current", force=True)
    assert (tmp_path / "current").is_symlink()
    assert ModelBundle.load(tmp_path / "versions-1").files == ModelBundle.load(tmp_path / "current").files
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["current", "versions-1"]


def test_parents_are_made(model: Path, tmp_path: Path) -> None:
    bundle = export_model(str(model), str(tmp_path / "a" / "b" / "bundle"))
    assert bundle.path == tmp_path / "a" / "b" / "bundle"
    ModelBundle.load(bundle.path)


def test_something_that_appears_meanwhile_is_not_replaced(model: Path, tmp_path: Path) -> None:
    output = tmp_path / "bundle"

    def appear(doing: str) -> None:
        if doing.startswith("converting"):
            output.mkdir()
            (output / "thesis.txt").write_text("years of work")

    with pytest.raises(OutputError, match=facts(output, "not a bundle")):
        export_model(model, output, force=True, progress=appear)
    assert set(content(tmp_path)) == {"bundle", "bundle/thesis.txt"}


def test_a_read_only_place(model: Path, tmp_path: Path) -> None:
    folder = read_only(tmp_path)
    for output in (folder / "bundle", folder / "deeper" / "bundle"):
        fails(model, output, output.resolve(), "can't be written")


@pytest.mark.parametrize("there", [True, False])
def test_a_full_disk(model: Path, small_disk: Path, there: bool) -> None:
    output = small_disk / "bundle"
    if there:
        fake_bundle(output)
    before = content(small_disk)
    fails(model, output, "the disk is full", small_disk, force=True)
    assert content(small_disk) == before


def test_a_disk_that_is_full_after_the_tokenizer(
    model: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the graph is written, by torch."""
    monkeypatch.setattr("exporter.export.save_tokenizer", lambda tokenizer, folder: None)
    fails(model, small_disk / "bundle", "the disk is full")
    assert content(small_disk) == {}


def test_a_model_file_that_can_not_be_read_is_named(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(files: object, max_tokens: object) -> None:
        raise PermissionError(13, "Permission denied", "/models/model.safetensors")

    monkeypatch.setattr("exporter.export.load", load)
    fails(model, tmp_path / "bundle", "/models/model.safetensors", "Permission denied")


def test_every_file_is_on_the_disk_before_an_old_bundle_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = fake_bundle(tmp_path / "bundle")
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if (output / "model.onnx").read_bytes() == b"graph":
            synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with replacing(output, force=True) as new:
        (new / "bundle.json").write_text("{}")
        (new / "model.onnx").write_bytes(b"new")
    assert sorted(synced)[1:] == ["bundle.json", "model.onnx"]  # and their hidden folder
    assert (output / "model.onnx").read_bytes() == b"new"
