"""What the tests see alike of every real server."""

import abc
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from scorer import RunDirectory

HERE = Path(__file__).parent


def on(*servers: str) -> pytest.MarkDecorator:
    """Run a test on each of these servers, named by their fixtures."""
    return pytest.mark.parametrize("server", servers, indirect=True)


@dataclass(frozen=True)
class RealServer(abc.ABC):
    """A server that tests/servers/up has started; ``tool`` is what `log` calls it, ``process`` what `up` does."""

    directory: Path
    url: str
    tool: str
    process: str

    @abc.abstractmethod
    def names(self) -> Iterator[str]:
        """Yield a data set name of a test's own, and remove the data set after the test."""

    @abc.abstractmethod
    def has(self, name: str) -> bool:
        """Say whether there is a data set of that name."""

    @abc.abstractmethod
    def rows(self, name: str) -> list[int]:
        """Return the rows that a data set has records of, none where there is no data set yet."""

    @abc.abstractmethod
    def answer(self, name: str, run: RunDirectory, labels: Mapping[int, str | None]) -> None:
        """Give rows of a run a class, or discard them (None), as a person does in a browser."""

    def kill(self) -> None:
        """End the server as a crash does."""
        os.kill(int((self.directory / f"{self.process}.pid").read_text()), signal.SIGKILL)

    def start(self) -> None:
        command = [HERE / "up", self.directory, self.process]
        subprocess.run(command, check=True, timeout=240, stdout=subprocess.DEVNULL)
