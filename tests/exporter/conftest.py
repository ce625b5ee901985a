"""What these tests share."""

import pytest

from exporter.routes.choose import choose


@pytest.fixture(autouse=True)
def first_route_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first route's failure be the export's: that the next one goes on is a test of tests/families."""
    monkeypatch.setattr("exporter.export.choose", lambda exporter, model_type: choose(exporter, model_type)[:1])
