"""As much of the hub's HTTP as `datasets.push_to_hub` speaks, on loopback: repositories in memory.

It answers what huggingface_hub 0.36 asks; that the real hub answers the same has not been tested.
"""

import base64
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_a-secret-token"


@dataclass
class Repo:
    """A data set's files by path, and what was said when it was made."""

    private: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[list[str]] = field(default_factory=list)

    @property
    def sha(self) -> str:
        """The latest commit: another one after each change of a file, whoever made it."""
        files = {path: hashlib.sha1(content).hexdigest() for path, content in self.files.items()}
        return hashlib.sha1(json.dumps([self.commits, files]).encode()).hexdigest()


@dataclass
class FakeHub:
    """``repos`` are the data sets by name, ``blobs`` the large files by SHA-256; ``refuse`` fails requests by path."""

    repos: dict[str, Repo] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    refuse: str | None = None
    url: str = ""

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Serve on a free port of loopback."""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

            def _handle(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Transfer-Encoding") == "chunked":
                    body = _chunks(self.rfile)
                path = self.path.partition("?")[0]
                hub.requests.append((self.command, path))
                status, answer, headers = hub.answer(self.command, path, self.headers.get("Authorization"), body)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_HEAD = _handle

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def answer(self, method: str, path: str, auth: str | None, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        """Return the status, the body and the headers of an answer."""
        if method == "PUT" and path.startswith("/blob/"):
            self.blobs[path.removeprefix("/blob/")] = body
            return _json({})
        if auth != f"Bearer {TOKEN}":
            return _error(401, "RepoNotFound" if "/api/datasets/" in path else "Unauthorized")
        if self.refuse and self.refuse in path:
            return _error(403, "Forbidden")
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
            if name in self.repos:
                return _error(409, "Exists")
            self.repos[name] = Repo(private=bool(asked.get("private")))
            return _json({"url": f"{self.url}/datasets/{name}"})
        if path == "/api/validate-yaml":
            return _json({"errors": [], "warnings": []})
        if path.endswith("/info/lfs/objects/batch"):
            objects = json.loads(body)["objects"]
            made = [{**one, "actions": {"upload": {"href": f"{self.url}/blob/{one['oid']}"}}} for one in objects]
            return _json({"transfer": "basic", "objects": made})
        found = re.fullmatch(r"/(?:api/)?datasets/([\w.-]+/[\w.-]+)(/.*)?", path)
        if not found or found[1] not in self.repos:
            return _error(404, "RepoNotFound")
        return self._of(found[1], self.repos[found[1]], found[2] or "", body)

    def _of(self, name: str, repo: Repo, path: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        sha = repo.sha
        if path.startswith("/preupload/"):
            files = json.loads(body)["files"]
            mode = {True: "lfs", False: "regular"}
            return _json(
                {"files": [{**one, "uploadMode": mode[one["path"].endswith(".parquet")], "shouldIgnore": False}
                           for one in files]}
            )  # fmt: skip
        if path.startswith("/commit/"):
            lines = [json.loads(line) for line in body.splitlines()]
            parents = [line["value"].get("parentCommit") for line in lines if line["key"] == "header"]
            if any(parent not in (None, sha) for parent in parents):
                return _error(412, "PreconditionFailed")
            repo.commits.append([_commit(self, repo, line) for line in lines if line["key"] != "header"])
            made = repo.sha
            return _json({"commitUrl": f"{self.url}/datasets/{name}/commit/{made}", "commitOid": made, "success": True})
        if path.startswith("/tree/"):
            listed = _tree(repo, re.sub(r"^/tree/[^/]+/?", "", path))
            return _json(listed) if listed else _error(404, "EntryNotFound")
        if path.startswith("/resolve/"):
            _, _, revision, file = path.split("/", 3)
            if revision not in ("main", sha):
                return _error(404, "RevisionNotFound")
            if file not in repo.files:
                return _error(404, "EntryNotFound")
            content = repo.files[file]
            return 200, content, {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": sha}
        siblings = [{"rfilename": file} for file in sorted(repo.files)]
        return _json({"id": name, "sha": sha, "private": repo.private, "siblings": siblings, "tags": []})


def _commit(hub: FakeHub, repo: Repo, line: dict[str, Any]) -> str:
    """Do one operation of a commit and return the path."""
    value = line["value"]
    path = str(value["path"])
    if line["key"] == "deletedFile":
        del repo.files[path]
    elif line["key"] == "lfsFile":
        repo.files[path] = hub.blobs[value["oid"]]
    else:
        repo.files[path] = base64.b64decode(value["content"])
    return path


def _tree(repo: Repo, folder: str) -> list[dict[str, Any]]:
    """Return what lies in a folder, not what lies below it."""
    found: dict[str, dict[str, Any]] = {}
    start = f"{folder}/" if folder else ""
    for file, content in sorted(repo.files.items()):
        name, _, below = file.removeprefix(start).partition("/")
        if file.startswith(start) and below:
            found[name] = {"type": "directory", "path": start + name, "size": 0, "oid": "0" * 40}
        elif file.startswith(start):
            oid = hashlib.sha1(content).hexdigest()
            found[name] = {"type": "file", "path": file, "size": len(content), "oid": oid}
    return list(found.values())


def _chunks(stream: Any) -> bytes:
    body = b""
    while size := int(stream.readline(), 16):
        body += stream.read(size)
        stream.readline()
    stream.readline()
    return body


def _json(document: object) -> tuple[int, bytes, dict[str, str]]:
    return 200, json.dumps(document).encode(), {"Content-Type": "application/json"}


def _error(status: int, code: str) -> tuple[int, bytes, dict[str, str]]:
    return status, json.dumps({"error": code}).encode(), {"Content-Type": "application/json", "X-Error-Code": code}
