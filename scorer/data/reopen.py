"""reopen_source(): the data of a finished run again, and only if it is what was scored."""

from typing import Any

from scorer.address import is_remote
from scorer.data.filesystem import local_place
from scorer.data.source import Data, Source, open_source
from scorer.errors import NotThereError, SourceError, UnreachableError, first_line


def reopen_source(spec: dict[str, Any], fingerprint: str, data: Data | None = None) -> Source:
    """Open the data of a finished run again, from its record or from where it lies now.

    Raises:
        SourceError: its content is not what was scored, or can't be compared.
        NotThereError: it is not there any more.
        UnreachableError: its store or the hub failed, or its address had something that may be a secret, which no run
            keeps.
    """
    if data is None and spec.get("left_out"):
        return _reopen_without(spec, fingerprint)
    if data is None and spec["kind"] == "table":
        raise SourceError("the run scored a table in memory; pass that table as data")
    files = spec.get("files", [])
    hashed = bool(files) and all("sha256" in file for file in files)
    elsewhere = "" if data is not None else ", name the place where it lies now with --data"
    try:
        source = open_source(
            spec["data"] if data is None else data,
            config=spec.get("config"),
            split=spec.get("split"),
            streaming=spec.get("streaming", False),
            hashed=hashed,
        )
    except NotThereError as error:
        if data is not None:
            raise
        raise NotThereError(f"{error}; if it has moved{elsewhere}") from error
    if source.fingerprint != fingerprint:
        if any("sha256" not in file for file in files) and all(
            "sha256" in file for file in source.spec.get("files", [])
        ):
            raise SourceError(
                f"{source.name} can't be compared with what was scored: of remote files the run knows the version, not "
                "the content; give their address"
            )
        raise SourceError(
            f"{source.name} has changed since it was scored (fingerprint {source.fingerprint[:12]}..., the run has "
            f"{fingerprint[:12]}...); restore it{elsewhere}, or score it again"
        )
    return source


def refuse_edited(spec: dict[str, Any]) -> None:
    """Make sure that those of a run's files that are still here are what was scored, where others can't be reached.

    Raises:
        SourceError: one is not, or can't be read.
    """
    for file in spec.get("files", []):
        if "sha256" not in file or is_remote(file["file"]):
            continue
        try:
            found = local_place(file["file"]).file(file["file"]).sha256()
        except (FileNotFoundError, NotADirectoryError):  # gone is not edited
            continue
        except OSError as error:
            raise SourceError(f"{file['file']} can't be read ({first_line(error)})") from error
        if found != file["sha256"]:
            raise SourceError(f"{file['file']} has changed since it was scored; restore it, or score it again")


def _reopen_without(spec: dict[str, Any], fingerprint: str) -> Source:
    """Open an address without what was left out of it, which may have been nothing that is needed."""
    try:
        return reopen_source(spec, fingerprint, spec["data"])
    except SourceError as error:
        names = spec["data"] if isinstance(spec["data"], str) else ", ".join(spec["data"])
        raise UnreachableError(
            f"{names} was scored at an address with a query or a user, which may be secret and so was not kept; give "
            f"the whole address again with --data (as it was kept: {error})"
        ) from error
