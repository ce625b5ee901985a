"""The structures of ``bundle.json``, a bundle's manifest: what the model is, and the hash of every file.

Fields are written in the order in which they are declared. A damaged file is refused; the error has
the JSON path of the fault and the fix. Unknown keys are ignored: a newer lossrank may have written more.
"""

import contextlib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from scorer.errors import BundleError
from scorer.files import left_aside
from scorer.typed_json import Count, Index, Positive, Section, as_text, fault_in

FORMAT = 1
MANIFEST = "bundle.json"
ITSELF = "itself"

_Names = Annotated[tuple[str, ...], Meta(min_length=1)]


class Parity(Section, frozen=True, kw_only=True):
    """The differences between an exported graph and torch, or what ``compared_with`` names.

    Losses were compared for every text and class. ``max_logit_difference``, ``max_loss_difference`` (nats) and
    ``mean_loss_difference`` (nats) are absolute differences; high is bad. The mean is UNSET in bundles of older
    versions. ``label_agreement`` is the share (0..1, low is bad) of texts with the same predicted class.
    ``top_k_overlap`` is the share (0..1, low is bad) of the graph's ``top_k`` highest losses that are also among
    torch's ``top_k`` highest; text ``i`` has the label ``i % C``.
    ``max_tokens`` is the number of tokens of the longest text that was compared.

    torch's numbers are those of its eager attention. ``attention`` names transformers' default for the model if that is
    another one, such as ``sdpa``, and ``attention_difference`` is how far its logits are from eager's, in torch, on a
    dozen of the texts. These three are UNSET in bundles of older versions.
    """

    texts: Count
    max_logit_difference: float
    max_loss_difference: float
    mean_loss_difference: float | UnsetType = UNSET
    label_agreement: float
    top_k: Count
    top_k_overlap: float
    max_tokens: Count | UnsetType = UNSET
    attention: str | UnsetType = UNSET
    attention_difference: float | UnsetType = UNSET


class Variant(Section, frozen=True, kw_only=True):
    """The graph of one precision: its ``file`` in the bundle, and its ``parity`` with torch.

    ``graph`` describes how the graph was rewritten. ``graph`` and ``parity`` are UNSET if they were not recorded.
    """

    file: str
    graph: str | UnsetType = UNSET
    parity: Parity | UnsetType = UNSET


class BundleManifest(Section, frozen=True, kw_only=True):
    """The contents of ``bundle.json``, except its format number.

    ``class_names`` [C] is in the order of the logits' columns; ``variants`` maps a precision such as ``fp32`` to its
    graph; ``versions`` maps packages to their versions when the model was exported; ``files`` maps every file to its
    SHA-256. ``token_parameters`` counts the weights that the model, before its graph is rewritten, multiplies each
    token with; None if the count is unknown, as in bundles of older versions. ``exporter`` is the route by which the
    graph was made, ``optimum`` or ``torch``, or ``onnx`` if it was given; UNSET in bundles of older versions.
    ``compared_with`` says what every ``parity`` is with: UNSET is torch; ``ITSELF`` is the given graph, run one text at
    a time, so that nothing shows that it computes what it was made from. ``long_text`` is ``tail`` if the model's
    tokenizer keeps the end of a long text; UNSET if it keeps the start.
    """

    class_names: _Names
    problem_type: str
    model_type: str
    max_tokens: Positive
    input_names: _Names
    pad_id: Index
    model: str
    revision: str | None
    variants: dict[str, Variant]
    versions: dict[str, str]
    files: dict[str, str]
    token_parameters: Positive | None = None
    exporter: str | UnsetType = UNSET
    compared_with: str | UnsetType = UNSET
    long_text: Literal["tail"] | UnsetType = UNSET

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values for JSON, as in ``bundle.json``."""
        fields = {name: getattr(self, name) for name in BundleManifest.__struct_fields__}
        return {name: msgspec.to_builtins(value) for name, value in fields.items() if value is not UNSET}


class _Listing(Struct):
    """The part of ``bundle.json`` that tells which files belong to the bundle, even if the rest is damaged."""

    format: Any
    files: dict[str, Any]


def read_manifest(path: Path) -> BundleManifest:
    """Return the manifest of a bundle.

    Raises:
        BundleError: the folder is missing or is not a bundle.
        BundleError: the bundle is of a newer format.
        BundleError: the manifest is damaged or can't be read.
    """
    file = path / MANIFEST
    if not path.is_dir():
        raise BundleError(_no_folder(path))
    try:
        document = msgspec.json.decode(file.read_bytes())
    except FileNotFoundError:
        is_model = (path / "config.json").is_file()
        hint = "it is a Hugging Face model, which must be exported first" if is_model else f"no {MANIFEST} in it"
        raise BundleError(f"{path} is not a bundle ({hint}; run `lossrank export MODEL BUNDLE`)") from None
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{file} can't be read ({error}); export the model again") from error
    if not isinstance(document, dict):
        raise BundleError(f"{file} is damaged: it is not a JSON object; export the model again")
    _refuse_format(path, document.get("format"))
    try:
        return msgspec.convert(document, BundleManifest)
    except msgspec.ValidationError as error:
        fault = fault_in(document, BundleManifest, error)
        raise BundleError(f"{file} is damaged: {fault.clause}; export the model again") from error


def _no_folder(path: Path) -> str:
    if path.exists():
        return f"{path} is a file; a bundle is the directory that `lossrank export MODEL {path}` makes"
    with contextlib.suppress(OSError):
        if (aside := left_aside(path.resolve())) is not None:
            return (
                f"{path} does not exist: an export was killed while it replaced it; rename {aside} to {path.resolve()}"
            )
    return f"{path} does not exist; a bundle is the directory that `lossrank export MODEL {path}` makes"


def write_manifest(path: Path, manifest: BundleManifest) -> None:
    """Write the manifest of a bundle."""
    (path / MANIFEST).write_text(as_text({"format": FORMAT, **manifest.to_dict()}), encoding="utf-8")


def listed_files(path: Path) -> set[str] | None:
    """Return the names of the files that belong to a bundle, its manifest included; None if the folder is no bundle."""
    try:
        listing = msgspec.json.decode((path / MANIFEST).read_bytes(), type=_Listing)
    except (OSError, ValueError, RecursionError):
        return None
    return {MANIFEST, *listing.files}


def _refuse_format(path: Path, found: object) -> None:
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise BundleError(
            f"{path / MANIFEST} has format {found!r}, not a number from 1 to {FORMAT}; export the model again"
        )
    if found > FORMAT:
        raise BundleError(
            f"{path} is a bundle of format {found}; this lossrank reads formats up to {FORMAT}; "
            "run `pip install -U lossrank`, or export the model again"
        )
