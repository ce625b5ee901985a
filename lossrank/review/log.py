"""Send the worst rows to a review tool, or write them as one of its files."""

from dataclasses import dataclass, field

from lossrank.review.records import Refusal, ReviewRecord
from lossrank.review.servers.server import Form
from scorer import RunDirectory


@dataclass
class _Done:
    """What a logging did: of the ranked ``rows``, how many were ``written``, to a server or a file."""

    run: str
    rows: int
    to: str
    written: int = 0
    already_there: int = 0
    refused: list[Refusal] = field(default_factory=list)
    url: str | None = None
    sort: str | None = None
    output: str | None = None
    advice: str | None = None


def _form(run: RunDirectory, records: list[ReviewRecord]) -> Form:
    return Form(run.class_names, tuple(dict.fromkeys(field for record in records for field in record.inputs)))
