"""What the tests share: small models, stand-ins for servers, and where the project lies."""

from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"  # the founders' folder of real data and models; tests that use it skip without it
SOAK = pytest.mark.soak  # the long form of a test, which only `make soak` runs


def short_and_long(names: str, short: Any, long: Any) -> pytest.MarkDecorator:
    """Run a test with the ``short`` value of its parameters; with the ``long`` one in `make soak` only."""
    return pytest.mark.parametrize(
        names, [pytest.param(*_values(short), id="short"), pytest.param(*_values(long), id="long", marks=SOAK)]
    )


def _values(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
