"""ModelBundle: the directory that is the only contract between exporter and scorer.

A bundle contains ``model.onnx``, ``tokenizer.json`` and ``bundle.json``. No file in it is code, and none is unpickled:
they are JSON and a graph that onnxruntime reads.
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
    """An exported classifier: its folder ``path``, and the fields of its manifest.

    ``class_names`` [C] is in the order of the model's outputs. ``max_tokens`` is the most tokens that the model reads
    of a text. ``variants`` has the graph of each precision (``fp32``, ``int8``), ``versions`` the package versions at
    the export, ``files`` the SHA-256 of each file.

    Example:
        >>> bundle = lr.load_bundle(BUNDLE)
        >>> bundle.model, bundle.max_tokens, list(bundle.variants)
        ('lossrank-demo-agnews', 256, ['fp32'])
    """

    path: Path

    @property
    def sha256(self) -> str:
        """The SHA-256 of all that scores depend on: files, class names, limit and end of texts, inputs, pad id."""
        scoring = {
            "files": self.files,
            "class_names": self.class_names,
            "max_tokens": self.max_tokens,
            "input_names": self.input_names,
            "pad_id": self.pad_id,
            **({} if self.long_text is msgspec.UNSET else {"long_text": self.long_text}),
        }
        return hashlib.sha256(json.dumps(scoring, sort_keys=True).encode()).hexdigest()

    @property
    def tokenizer_file(self) -> Path:
        """The path of the tokenizer."""
        return self.path / TOKENIZER

    def model_file(self, precision: str = "fp32") -> Path:
        """Return the path of the ONNX graph of one precision.

        Raises:
            BundleError: the bundle has no such variant.
        """
        return self.path / self._variant(precision).file

    def parity(self, precision: str = "fp32") -> Parity:
        """Return the differences between the graph of one precision and torch, measured at export.

        Raises:
            BundleError: the bundle has no such variant, or its parity was not recorded.
        """
        parity = self._variant(precision).parity
        if parity is msgspec.UNSET:
            raise BundleError(f"{self.path} has no parity for its {precision!r} variant; export the model again")
        return parity

    def save(self) -> None:
        """Write ``bundle.json`` into the bundle's directory."""
        write_manifest(self.path, self)

    @classmethod
    def load(cls, path: str | Path) -> "ModelBundle":
        """Read a bundle directory and check every file against its recorded hash.

        Raises:
            BundleError: the directory is missing, or its name is not UTF-8.
            BundleError: ``bundle.json`` is missing, damaged or unreadable, or has a newer format.
            BundleError: two class names differ at most in case and white space.
            BundleError: a file is missing or unreadable, or its hash is not the recorded one.
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
                f"{self.path / MANIFEST} has class names that differ at most in case and blanks: {', '.join(twice)}; "
                "rename them in the model's id2label and export it again"
            )
        for required in (TOKENIZER, *(variant.file for variant in self.variants.values())):
            if required not in self.files:
                raise BundleError(f"{self.path / MANIFEST} does not list {required}; export the model again")
        for name, expected in self.files.items():
            file = self.path / name
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise BundleError(
                    f"{self.path / MANIFEST} lists {name!r}, which is outside the bundle; export the model again"
                )
            if not file.is_file():
                raise BundleError(f"{file} is missing from the bundle; export the model again")
            try:
                actual = file_sha256(file)
            except OSError as error:
                raise BundleError(f"{file} can't be read ({error.strerror}); make it readable") from error
            if actual != expected:
                raise BundleError(
                    f"{file} has changed since the export: SHA-256 {actual[:12]}..., expected {expected[:12]}...; "
                    "restore it or export the model again"
                )
