"""ModelBundle: the directory that is the only contract between exporter and scorer.

A bundle holds ``model.onnx``, ``tokenizer.json`` and ``bundle.json``. Nothing in it is code, and nothing is
unpickled: JSON, and a graph that onnxruntime reads.
"""

import hashlib
import json
from collections import Counter
from pathlib import Path

import msgspec

from scorer.errors import BundleError
from scorer.files import file_sha256
from scorer.model.bundle_manifest import MANIFEST, BundleManifest, Parity, Variant, read_manifest, write_manifest
from scorer.text import fold, is_utf8

TOKENIZER = "tokenizer.json"


class ModelBundle(BundleManifest, frozen=True, kw_only=True):
    """An exported classifier, checked and ready to be scored with: its folder, and the fields of its manifest."""

    path: Path

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
        return self.path / self._variant(precision).file

    def parity(self, precision: str = "fp32") -> Parity:
        """Return the measured differences between the graph of one precision and torch.

        Raises:
            BundleError: the bundle has no such variant, or its parity was not recorded.
        """
        parity = self._variant(precision).parity
        if parity is msgspec.UNSET:
            raise BundleError(f"{self.path} has no parity of its {precision!r} variant; export the model again")
        return parity

    def save(self) -> None:
        """Write ``bundle.json`` into the bundle's directory."""
        write_manifest(self.path, self)

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
        bundle = cls(path=path, **msgspec.structs.asdict(read_manifest(path)))
        bundle._verify()
        return bundle

    def _variant(self, precision: str) -> Variant:
        if precision not in self.variants:
            raise BundleError(
                f"{self.path} has no {precision!r} variant; it has: {', '.join(sorted(self.variants))}; choose one of "
                "these as `precision`, or export the model again"
            )
        return self.variants[precision]

    def _verify(self) -> None:
        folded = Counter(map(fold, self.class_names))
        if twice := [repr(name) for name in self.class_names if folded[fold(name)] > 1]:
            raise BundleError(
                f"{self.path / MANIFEST} names different classes alike: {', '.join(twice)}; rename them in the model's "
                "id2label and export it again"
            )
        for required in (TOKENIZER, *(variant.file for variant in self.variants.values())):
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
