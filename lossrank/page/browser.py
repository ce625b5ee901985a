"""browser_at(): open the review page in a browser without showing its address in the process list."""

import contextlib
import os
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from html import escape
from pathlib import Path

_REDIRECT = """<!doctype html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={address}">
<title>lossrank review</title>
<p><a href="{address}">The review page</a></p>
"""


@contextlib.contextmanager
def browser_at(address: str) -> Iterator[None]:
    """Open an address in a browser, if there is a display or the variable BROWSER is set.

    Otherwise nothing is opened, because a text browser would take over the terminal. The address contains the token,
    and every user of the machine can read a browser's command line. So the browser is given a file that only its owner
    can read and that redirects to the address. The file is deleted when the ``with`` block ends.
    """
    with contextlib.ExitStack() as stack:
        if sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")):
            try:
                private = tempfile.TemporaryDirectory(prefix="lossrank-", ignore_cleanup_errors=True)
                file = Path(stack.enter_context(private)) / "review.html"
                file.touch(0o600)
                file.write_text(_REDIRECT.format(address=escape(address)), encoding="utf-8")
            except OSError as error:
                print(f"No browser was opened ({error}); open the address yourself.", file=sys.stderr)
            else:
                threading.Thread(target=webbrowser.open, args=(file.as_uri(),), daemon=True).start()
        yield
