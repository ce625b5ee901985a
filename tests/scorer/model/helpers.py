"""What the tests of bundles share."""

import json
from typing import Any

from scorer import ModelBundle


def edit(bundle: ModelBundle, **changes: Any) -> None:
    """Change fields of bundle.json; `...` takes one away."""
    file = bundle.path / "bundle.json"
    manifest = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in manifest.items() if value is not ...}))
