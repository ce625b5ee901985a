"""What the tests of inputs share."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from scorer.model import session


@pytest.fixture(scope="module", autouse=True)
def one_session_a_model() -> Iterator[None]:
    """Let all runs of a model share its session: opening the demo's takes a third of a run of a few rows."""
    opened = session._open

    @cache
    def shared(model_file: Path) -> Any:
        ort = session.import_onnxruntime()
        options = ort.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 4, 1
        return opened(ort, model_file, options, "cpu")

    def opening(ort: Any, model_file: Path, options: Any, device: str) -> Any:
        return shared(model_file) if device == "cpu" else opened(ort, model_file, options, device)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "_open", opening)
        yield
