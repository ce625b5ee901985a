"""Tests with a short form, which `make test` runs, and a long one, which `make soak` runs."""

from typing import Any

import pytest


def short_and_long(names: str, short: Any, long: Any) -> pytest.MarkDecorator:
    """Run a test with the ``short`` value of its parameters; with the ``long`` one in `make soak` only."""
    return pytest.mark.parametrize(
        names, [pytest.param(*_values(short), id="short"), pytest.param(*_values(long), id="long", marks=SOAK)]
    )


SOAK = pytest.mark.soak


def _values(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
