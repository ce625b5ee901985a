"""The real servers that tests/servers/run has started."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lossrank.review.servers.server import TOOLS
from scorer import ModelBundle, RunDirectory
from tests.servers.argilla_people import Argilla
from tests.servers.label_studio import KEY as LABEL_STUDIO_KEY
from tests.servers.label_studio import LabelStudio
from tests.servers.news import make_news
from tests.servers.process import RealServer
from tests.servers.rubrix_people import Rubrix


def _up(variable: str, port: int) -> tuple[Path, str]:
    """Return the servers' directory, and the address of the one whose port the variable moves."""
    if "LOSSRANK_SERVERS" not in os.environ:
        pytest.skip("no servers: make test-servers starts them")
    return Path(os.environ["LOSSRANK_SERVERS"]), f"http://127.0.0.1:{os.environ.get(variable, port)}"


@pytest.fixture(scope="session")
def rubrix() -> Rubrix:
    return Rubrix(*_up("LOSSRANK_RUBRIX_PORT", 16900), "rubrix", "rubrix")


@pytest.fixture(scope="session")
def argilla1() -> Rubrix:
    headers = {"X-Argilla-Api-Key": "argilla.apikey", "X-Argilla-Workspace": "argilla"}
    return Rubrix(*_up("LOSSRANK_ARGILLA1_PORT", 16902), "argilla", "argilla1", headers)


@pytest.fixture(scope="session")
def argilla() -> Argilla:
    return Argilla(*_up("LOSSRANK_ARGILLA_PORT", 16901), "argilla", "argilla")


@pytest.fixture(scope="session")
def label_studio() -> LabelStudio:
    return LabelStudio(*_up("LOSSRANK_LABELSTUDIO_PORT", 18080), "label-studio", "labelstudio")


@pytest.fixture
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> RealServer:
    """The server of a test, named by its fixture, and the one that the command line finds in its environment."""
    server: RealServer = request.getfixturevalue(request.param)
    variables = TOOLS[server.tool].variables
    for variable in ("API_KEY", "WORKSPACE"):
        monkeypatch.delenv(f"{variables}_{variable}", raising=False)
    monkeypatch.setenv(f"{variables}_API_URL", server.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", LABEL_STUDIO_KEY)
    return server


@pytest.fixture
def name(server: RealServer) -> Iterator[str]:
    """A data set name of the test's own."""
    yield from server.names()


@pytest.fixture
def run(tiny_bundle: ModelBundle, tmp_path: Path) -> RunDirectory:
    """A scored run of the test's own."""
    return make_news(tiny_bundle, tmp_path)
