"""browser_at(): the page in the person's browser, without its address on a command line."""

import contextlib
import os
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from html import escape
from pathlib import Path

import click

_LEADS_TO = """<!doctype html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={address}">
<title>lossrank review</title>
<p><a href="{address}">The review page</a></p>
"""


@contextlib.contextmanager
def browser_at(address: str) -> Iterator[None]:
    """Open the address in a browser with windows, if there can be one: one without would take the terminal.

    The address has the token in it, and every user of the machine can read a browser's command line. So the browser
    gets a file's name there: only its owner can read the file, which leads to the address and is there until the block
    ends.
    """
    with contextlib.ExitStack() as until_the_end:
        if sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")):
            try:
                private = tempfile.TemporaryDirectory(prefix="lossrank-", ignore_cleanup_errors=True)
                file = Path(until_the_end.enter_context(private)) / "review.html"
                file.touch(0o600)
                file.write_text(_LEADS_TO.format(address=escape(address)), encoding="utf-8")
            except OSError as error:
                click.echo(f"No browser is opened ({error}); open the address yourself.", err=True)
            else:
                threading.Thread(target=webbrowser.open, args=(file.as_uri(),), daemon=True).start()
        yield
