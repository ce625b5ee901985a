"""ModelBundle: the directory that is the only contract between exporter and scorer.

A bundle holds ``model.onnx``, ``tokenizer.json`` and ``bundle.json``. Nothing in it is code, and nothing is
unpickled: JSON, and a graph that onnxruntime reads.
"""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scorer.errors import BundleError, RunError
from scorer.files import file_sha256, put_back
from scorer.text import fold, is_utf8

FORMAT = 1
MANIFEST = "bundle.json"
TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class ModelBundle:
    """An exported classifier, checked and ready to be scored with.

    ``class_names`` is in the order of the logits' columns; ``variants`` maps a precision such as ``"fp32"`` to
    what is known of it (``file`` and its measured ``parity``); ``files`` maps every file to its SHA-256;
    ``token_parameters`` is how many weights the model multiplies each token with, before any work is taken out of its
    graph: None where that is not known, as of bundles from before it was counted.
    """

    path: Path
    class_names: tuple[str, ...]
    problem_type: str
    model_type: str
    max_tokens: int
    input_names: tuple[str, ...]
    pad_id: int
    model: str
    revision: str | None
    variants: dict[str, dict[str, Any]]
    versions: dict[str, str]
    files: dict[str, str]
    token_parameters: int | None = None

    @property
    def sha256(self) -> str:
        """The hash of all that scores depend on: the files' hashes, class names, token limit and pad id."""
        scoring = {
            "files": self.files,
            "class_names": self.class_names,
            "max_tokens": self.max_tokens,
            "input_names": self.input_names,
            "pad_id": self.pad_id,
        }
        return hashlib.sha256(json.dumps(scoring, sort_keys=True).encode()).hexdigest()

    @property
    def tokenizer_file(self) -> Path:
        return self.path / TOKENIZER

    def model_file(self, precision: str = "fp32") -> Path:
        """Return the ONNX graph of one precision.

        Raises:
            BundleError: the bundle has no such variant.
        """
        if precision not in self.variants:
            raise BundleError(
                f"{self.path} has no {precision!r} variant; it has: {', '.join(sorted(self.variants))}; choose one of "
                "these with --precision, or export the model again"
            )
        return self.path / str(self.variants[precision]["file"])

    def manifest(self) -> dict[str, Any]:
        """Return what ``bundle.json`` says, as ``save`` writes and ``load`` reads it."""
        return {
            "format": FORMAT,
            "class_names": list(self.class_names),
            "problem_type": self.problem_type,
            "model_type": self.model_type,
            "max_tokens": self.max_tokens,
            "input_names": list(self.input_names),
            "pad_id": self.pad_id,
            "model": self.model,
            "revision": self.revision,
            "variants": self.variants,
            "versions": self.versions,
            "files": self.files,
            "token_parameters": self.token_parameters,
        }

    def save(self) -> None:
        """Write ``bundle.json`` into the bundle's directory."""
        text = json.dumps(self.manifest(), indent=2, ensure_ascii=False) + "\n"
        (self.path / MANIFEST).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "ModelBundle":
        """Read a bundle directory and check every file against its recorded hash.

        Raises:
            BundleError: no such directory, no or unreadable ``bundle.json``, a format newer than this version of
                lossrank, class names that labels can't be told apart by, a missing file or one whose hash differs.
        """
        path = Path(path)
        if not is_utf8(str(path.absolute())):
            raise BundleError(f"{str(path.absolute())!r} is not UTF-8; rename the folder")
        try:
            put_back(path.resolve())  # an export was killed while it replaced this bundle
        except RunError as error:
            raise BundleError(str(error)) from error
        manifest = _read_manifest(path)
        found = manifest.get("format")
        if not isinstance(found, int) or found < 1:
            raise BundleError(f"{path / MANIFEST} has format {found!r}, not a number from 1 to {FORMAT}; export again")
        if found > FORMAT:
            raise BundleError(
                f"{path} is a bundle of format {found}; this lossrank reads up to {FORMAT}: "
                "upgrade with pip install -U lossrank, or export the model again"
            )
        try:
            bundle = cls(
                path=path,
                class_names=_strings(manifest["class_names"]),
                problem_type=manifest["problem_type"],
                model_type=manifest["model_type"],
                max_tokens=int(manifest["max_tokens"]),
                input_names=_strings(manifest["input_names"]),
                pad_id=int(manifest["pad_id"]),
                model=manifest["model"],
                revision=manifest["revision"],
                variants=dict(manifest["variants"]),
                versions=dict(manifest["versions"]),
                files=dict(manifest["files"]),
                token_parameters=_count(manifest.get("token_parameters")),
            )
            _strings([*bundle.files.values(), *(variant["file"] for variant in bundle.variants.values())])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise BundleError(f"{path / MANIFEST} is damaged ({error!r}); export the model again") from error
        bundle._verify()
        return bundle

    def _verify(self) -> None:
        folded = Counter(map(fold, self.class_names))
        if twice := [repr(name) for name in self.class_names if folded[fold(name)] > 1]:
            raise BundleError(
                f"{self.path / MANIFEST} names different classes alike: {', '.join(twice)}; rename them in the model's "
                "id2label and export it again"
            )
        for required in (TOKENIZER, *(str(variant["file"]) for variant in self.variants.values())):
            if required not in self.files:
                raise BundleError(f"{self.path / MANIFEST} does not list {required}; export the model again")
        for name, expected in self.files.items():
            file = self.path / name
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise BundleError(f"{self.path / MANIFEST} lists {name!r}, which is outside the bundle")
            if not file.is_file():
                raise BundleError(f"{file} is missing from the bundle; export the model again")
            try:
                actual = file_sha256(file)
            except OSError as error:
                raise BundleError(f"{file} can't be read ({error.strerror})") from error
            if actual != expected:
                raise BundleError(
                    f"{file} has changed since the export: SHA-256 {actual[:12]}..., expected {expected[:12]}...; "
                    "restore it or export the model again"
                )


def _strings(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise TypeError(f"{value!r} is no list of names")
    return tuple(value)


def _count(value: Any) -> int | None:
    if value is not None and (type(value) is not int or value < 1):
        raise ValueError(f"token_parameters is {value!r}, no positive whole number")
    return value


def _read_manifest(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise BundleError(f"{path} {what}; a bundle is the directory that `lossrank export MODEL {path}` makes")
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        hint = (
            "it is a Hugging Face model: export it first"
            if (path / "config.json").is_file()
            else "no bundle.json in it"
        )
        raise BundleError(f"{path} is not a bundle ({hint}; run `lossrank export MODEL BUNDLE`)") from None
    except (ValueError, OSError) as error:
        raise BundleError(f"{path / MANIFEST} can't be read ({error}); export the model again") from error
    if not isinstance(manifest, dict):
        raise BundleError(f"{path / MANIFEST} is damaged (not a JSON object); export the model again")
    return manifest
