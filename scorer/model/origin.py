"""What gave a run's predictions: a bundle, whose model ran, or a file of imported probabilities."""

from typing import Annotated

from msgspec import Meta

from scorer.data.spec import Location
from scorer.typed_json import Section

Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{64}\Z")]
IMPORTED = "imported"  # the precision of probabilities that no model of ours computed


class BundleInfo(Section, frozen=True, kw_only=True):
    """The bundle that scored the rows; ``class_names`` [C] are in index order."""

    path: Location
    sha256: Sha256
    model: str
    revision: str | None = None
    class_names: tuple[str, ...]


class ImportInfo(Section, frozen=True, kw_only=True):
    """The probabilities, predicted elsewhere, from which a run was made; ``class_names`` [C] are in index order.

    ``path`` is None if they were in memory; ``sha256`` is that of the file, or of the values. ``model`` is what the
    user calls the model. ``logits`` tells whether the file has logits, whose softmax the probabilities are.
    """

    path: Location | None
    sha256: Sha256
    model: str
    logits: bool = False
    class_names: tuple[str, ...]
