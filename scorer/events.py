"""event(): log what happens during a run, as records of the logger ``lossrank`` that have named fields."""

import logging
from typing import Any

LOG = logging.getLogger("lossrank")


def event(name: str, /, level: int = logging.INFO, **fields: Any) -> None:
    """Log an event; ``fields`` are JSON values and never contain a text from the data."""
    LOG.log(level, name, extra={"fields": fields})
