"""Find a model's local folder: the given folder, or the downloaded or cached files of a hub model.

All later steps read local files only. Otherwise transformers would ask the hub to convert weights that are not
safetensors, without telling the user.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from exporter.elsewhere.files import what_to_do
from exporter.errors import ModelError
from exporter.libraries import captured, require
from scorer.text import nearest, one_line

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)
_SMALL_FILES = ["*.json", "*.txt", "*.model", "*.tiktoken"]  # configuration and tokenizer
_WEIGHTS = ["*.safetensors"]
_SUBFOLDERS = ["*/*"]  # other formats of the same weights (onnx/, openvino/, ...)


@dataclass(frozen=True)
class ModelFiles:
    """A model's local folder; its ``name`` and ``revision`` (None without a hub) go into the bundle."""

    folder: Path
    name: str
    revision: str | None
    on_hub: bool

    def with_weights(self) -> "ModelFiles":
        """Download a hub model's weights and return the files; call this after the configuration has been accepted."""
        if not self.on_hub:
            return self
        return replace(self, folder=_snapshot(self.name, self.revision, _WEIGHTS))


def fetch(model: str | Path, revision: str | None = None) -> ModelFiles:
    """Find a model's configuration and tokenizer files.

    Raises:
        ModelError: the folder does not exist, and ``model`` is not a hub name.
        ModelError: the hub, or the cache if offline, does not have the model or the revision.
        ModelError: ``model`` is a file.
        ModelError: ``model`` is a folder and ``revision`` is given.
        MissingExtraError: a library of the ``export`` extra is not installed.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        if revision is not None:
            raise ModelError(f"{model} is a folder, which has no revision {revision!r}; leave `revision` out")
        return ModelFiles(path, path.resolve().name, None, on_hub=False)
    if path.exists():
        raise ModelError(what_to_do(path))
    name = str(model)
    if not _HUB_NAME.fullmatch(name) or isinstance(model, Path):
        raise ModelError(
            f"{model} is neither a folder nor a valid name on the Hugging Face hub{_nearest_sibling(path)}"
        )
    folder = _snapshot(name, revision, _SMALL_FILES)
    return ModelFiles(folder, name, folder.name, on_hub=True)


def _snapshot(name: str, revision: str | None, patterns: list[str]) -> Path:
    require()
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    at = f" at revision {revision!r}" if revision else ""
    try:
        with captured(f"fetching {name} from the hub"):
            try:
                return Path(
                    snapshot_download(name, revision=revision, allow_patterns=patterns, ignore_patterns=_SUBFOLDERS)
                )
            except GatedRepoError:
                reason = "its owner must grant access first: ask on its page, then run `hf auth login`"
            except RepositoryNotFoundError:
                reason = "the hub has no such model, or it is private and you are not logged in (`hf auth login`)"
            except RevisionNotFoundError:
                reason = "the hub has the model but not that revision"
            except HFValidationError as error:
                reason = one_line(error)
            except LocalEntryNotFoundError:
                offline = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "the hub can't be reached"
                reason = f"{offline} and {constants.HF_HUB_CACHE} has no copy"
    except OSError as error:  # the other network errors
        reason = one_line(error)
    raise ModelError(
        f"no folder {name!r} here{_nearest_sibling(Path(name))}, and fetching {name}{at} from the Hugging Face hub "
        f"failed: {reason}"
    )


def _nearest_sibling(path: Path) -> str:
    """Return a clause for an error message that names the sibling folder with the most similar name."""
    try:
        folders = [str(entry) for entry in path.parent.iterdir() if entry.is_dir()]
    except OSError:
        return ""
    return nearest(str(path), folders)
