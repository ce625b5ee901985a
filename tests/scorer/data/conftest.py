"""Fixtures of these tests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scorer.data.filesystem.helpers import Bucket
from tests.support.stores import WebHandler, s3_server, web_server


@pytest.fixture(scope="module")
def s3() -> Iterator[tuple[Any, dict[str, str]]]:
    with s3_server() as server:
        yield server


@pytest.fixture
def bucket(s3: tuple[Any, dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bucket:
    """A bucket of its own: ``bucket("a/b.csv", bytes)`` puts a file there and returns the bucket's address."""
    client, environment = s3
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    name = f"b-{abs(hash(tmp_path)):x}"
    client.create_bucket(Bucket=name)

    def put(key: str = "", content: bytes | None = None) -> str:
        if content is not None:
            client.put_object(Bucket=name, Key=key, Body=content)
        elif key:
            client.delete_object(Bucket=name, Key=key)
        return f"s3://{name}"

    return put


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, type[WebHandler], Path]]:
    folder = tmp_path / "web"
    folder.mkdir()
    with web_server(folder) as (address, handler):
        yield address, handler, folder
