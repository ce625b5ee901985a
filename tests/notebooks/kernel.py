"""A notebook's kernel, which runs cells and can be interrupted as its stop button does."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from jupyter_client.manager import KernelManager

from tests.notebooks.execute import kernel_environment

_LONGEST = 120  # seconds of a cell
_DONE = re.compile(r"([\d,]+) of ([\d,]+) rows")


@dataclass(frozen=True)
class Cell:
    """What a cell left: its error's name, and its outputs as the messages of the kernel."""

    error: str | None
    messages: list[dict[str, Any]]

    @property
    def printed(self) -> str:
        """All that went to stdout."""
        return self._stream("stdout")

    @property
    def complaints(self) -> str:
        """All that went to stderr."""
        return self._stream("stderr")

    @property
    def bars(self) -> list[tuple[int, int]]:
        """The rows that are done and all rows, at each drawing of a progress bar."""
        return [bar for message in self.messages if (bar := drawn(message))]

    def _stream(self, name: str) -> str:
        return "".join(m["content"]["text"] for m in self.messages if m["content"].get("name") == name)


def drawn(message: dict[str, Any]) -> tuple[int, int] | None:
    """Return the rows done and all rows, if the message draws a bar."""
    if message["msg_type"] not in ("display_data", "update_display_data"):
        return None
    html = message["content"]["data"].get("text/html", "")
    found = _DONE.search(html) if "<progress" in html else None
    return (int(found[1].replace(",", "")), int(found[2].replace(",", ""))) if found else None


class Kernel:
    """A clean kernel whose working folder is ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._manager = KernelManager(kernel_name="python3")
        self._manager.start_kernel(cwd=str(folder), env=kernel_environment(folder))
        self._client = self._manager.blocking_client()

    def __enter__(self) -> Self:
        self._client.start_channels()
        self._client.wait_for_ready(timeout=_LONGEST)
        return self

    def __exit__(self, *error: object) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()

    def run(self, code: str, *, stop_at: Callable[[dict[str, Any]], bool] | None = None) -> Cell:
        """Run a cell to its end; interrupt it once, at the first message for which ``stop_at`` is true."""
        messages: list[dict[str, Any]] = []
        stopped = False

        def on_output(message: dict[str, Any]) -> None:
            nonlocal stopped
            messages.append(message)
            if stop_at is not None and not stopped and stop_at(message):
                stopped = True
                self._manager.interrupt_kernel()

        reply = self._client.execute_interactive(
            code, timeout=_LONGEST, output_hook=on_output, allow_stdin=False, stop_on_error=False
        )
        return Cell(reply["content"].get("ename"), messages)
