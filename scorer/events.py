"""event(): reports what happens during a run as records of the logger ``lossrank``, with fields."""

import logging
from typing import Any

LOG = logging.getLogger("lossrank")


def event(name: str, /, level: int = logging.INFO, **fields: Any) -> None:
    """Log an event; ``fields`` are JSON values and never hold a text of the data."""
    LOG.log(level, name, extra={"fields": fields})
