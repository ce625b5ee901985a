"""What happens while lossrank works, for whoever listens: records of the logger ``lossrank``, with fields."""

import logging
from typing import Any

LOG = logging.getLogger("lossrank")


def event(name: str, /, level: int = logging.INFO, **fields: Any) -> None:
    """Tell of something that happened; ``fields``, which JSON can hold, never have a text of the data."""
    LOG.log(level, name, extra={"fields": fields})
