"""Servers on loopback that files are read from: S3 (moto's) and the web."""

import base64
import contextlib
import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar


@contextlib.contextmanager
def s3_server() -> Iterator[tuple[Any, dict[str, str]]]:
    """Yield a client of an S3 server and the environment that leads to it; nothing of it is real but the protocol."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }
    try:
        client = boto3.client(
            "s3",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            region_name="us-east-1",
            endpoint_url=environment["AWS_ENDPOINT_URL"],
        )
        yield client, environment
        client.close()
    finally:
        server.stop()


class WebHandler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; unlike its base it gives parts of files, and ETags, unless it is told not to.

    With a ``secret`` it serves whoever gives that as the user, or as ``?signature=``: to GET alone, as if presigned.
    """

    ranges: ClassVar[bool] = True
    versions: ClassVar[bool] = True
    status: ClassVar[int | None] = None
    secret: ClassVar[str | None] = None
    asked: ClassVar[list[tuple[str, str, str | None]]] = []

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def end_headers(self) -> None:
        self.send_header("Connection", "close")
        super().end_headers()

    def _answer(self) -> None:
        span = self.headers.get("Range")
        self.asked.append((self.command, self.path, span))
        file = Path(self.translate_path(self.path))
        if self.status is not None or not self._may():
            self.send_error(self.status or 403)
        elif not file.is_file():
            super().do_GET() if self.command == "GET" else super().do_HEAD()
        else:
            content = file.read_bytes()
            start, stop = 0, len(content)
            if span is not None and self.ranges:
                first, _, last = span.removeprefix("bytes=").partition("-")
                start, stop = int(first), min(int(last) + 1, stop)
            self.send_response(206 if span is not None and self.ranges else 200)
            self.send_header("Content-Length", str(stop - start))
            if self.ranges:
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
            if self.versions:
                self.send_header("ETag", f'"{file.stat().st_mtime_ns}"')
            self.end_headers()
            if self.command == "GET":
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(content[start:stop])

    def _may(self) -> bool:
        user = base64.b64decode((self.headers.get("Authorization") or "").removeprefix("Basic ")).decode()
        signed = self.command == "GET" and f"signature={self.secret}" in self.path
        return self.secret is None or signed or user.partition(":")[0] == self.secret


@contextlib.contextmanager
def web_server(folder: Path) -> Iterator[tuple[str, type[WebHandler]]]:
    """Yield the address of a web server for a folder, and its handler, whose class attributes say how it behaves."""
    handler = type("Handler", (WebHandler,), {"asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
