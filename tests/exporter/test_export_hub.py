"""Models by hub name: from a cache made by hand, and every way the hub can say no. Nothing goes over the network."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter import ModelError, export_model
from exporter.libraries import require
from tests.support.facts import facts, tells
from tests.support.tiny_models import build, edit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A hub cache that holds org/tiny at one commit, and no network."""
    require()
    from huggingface_hub import constants
    from huggingface_hub.utils import reset_sessions

    cache = tmp_path / "cache"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = cache / "models--org--tiny"
    build("distilbert", repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    (repository / "refs" / "v1").write_text(COMMIT)
    reset_sessions()
    yield cache
    reset_sessions()  # one that was made offline stays so, for every test of this process


@pytest.mark.parametrize("revision", [None, "main", "v1", COMMIT])
def test_a_hub_model_from_the_cache_keeps_its_name_and_commit(
    cache: Path, tmp_path: Path, revision: str | None
) -> None:
    bundle = export_model("org/tiny", tmp_path / "bundle", revision=revision)
    assert (bundle.model, bundle.revision) == ("org/tiny", COMMIT)


def test_a_folder_goes_before_the_hub(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(
        build("distilbert", tmp_path / "org" / "tiny"), id2label={"0": "a", "1": "b", "2": "c", "3": "d"}, label2id=None
    )
    monkeypatch.chdir(tmp_path)
    bundle = export_model("org/tiny", tmp_path / "bundle")
    assert (bundle.model, bundle.revision, bundle.class_names) == ("tiny", None, ("a", "b", "c", "d"))


def test_a_hub_model_without_safetensors(cache: Path, tmp_path: Path) -> None:
    (cache / "models--org--tiny" / "snapshots" / COMMIT / "model.safetensors").unlink()
    with pytest.raises(ModelError) as caught:
        export_model("org/tiny", tmp_path / "bundle")
    assert tells(caught.value, "org/tiny", "*.safetensors", "c.from_pretrained('org/tiny')", "`revision='refs/pr/N'`")


def test_weights_are_fetched_only_for_a_configuration_that_is_accepted(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    asked: list[dict[str, Any]] = []
    folder = cache / "models--org--tiny" / "snapshots" / COMMIT

    def snapshot_download(name: str, **options: Any) -> str:
        asked.append({"name": name, **options})
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    export_model("org/tiny", tmp_path / "bundle", revision="v1")
    assert [(call["name"], call["revision"]) for call in asked] == [("org/tiny", "v1"), ("org/tiny", COMMIT)]
    assert ["*.safetensors" in call["allow_patterns"] for call in asked] == [False, True]
    assert not any("bin" in pattern for call in asked for pattern in call["allow_patterns"])
    asked.clear()
    edit(folder, problem_type="regression")
    with pytest.raises(ModelError, match="regression"):
        export_model("org/tiny", tmp_path / "other")
    assert len(asked) == 1


def test_a_hub_model_that_is_not_in_the_cache_offline(cache: Path, tmp_path: Path) -> None:
    message = (
        "no folder 'org/other' here, and fetching org/other at revision 'v2' from the Hugging Face hub failed: "
        f"HF_HUB_OFFLINE is set and {cache} has no copy"
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        export_model("org/other", tmp_path / "bundle", revision="v2")
    assert not (tmp_path / "bundle").exists()


def test_a_hub_that_can_not_be_reached(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=facts("can't be reached", cache)):
        export_model("org/other", tmp_path / "bundle")


def test_a_mistyped_folder_beside_the_right_one(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my-classifier").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=facts("'my-clasifier'", "did you mean 'my-classifier'?")):
        export_model("my-clasifier", tmp_path / "bundle")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("GatedRepoError", "`hf auth login`"),
        ("RepositoryNotFoundError", "no such model"),
        ("RevisionNotFoundError", "not that revision"),
        ("HFValidationError", "HFValidationError: told so"),
        ("OSError", "OSError: [Errno 5] told so"),
    ],
)
def test_what_the_hub_answers(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, message: str
) -> None:
    import huggingface_hub
    import requests
    from huggingface_hub import errors

    def snapshot_download(name: str, **options: Any) -> str:
        if kind in ("HFValidationError", "OSError"):
            raise {"HFValidationError": errors.HFValidationError("told so"), "OSError": OSError(5, "told so")}[kind]
        raise getattr(errors, kind)("told so\nat length", response=requests.Response())

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(ModelError, match=facts("'org/other'", message)) as caught:
        export_model("org/other", tmp_path / "bundle")
    assert "\n" not in str(caught.value)


def test_a_cache_that_was_emptied_between_two_looks(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reasons(*_: object) -> list[str]:
        shutil.rmtree(cache)
        return []

    monkeypatch.setattr("exporter.load.tokenizers.reasons", reasons)
    with pytest.raises(ModelError, match="has no copy"):
        export_model("org/tiny", tmp_path / "bundle")
