"""Convert Python and Arrow values to JSON that every parser accepts."""

import base64
import datetime
import json
import math
from typing import Any


def json_line(value: Any) -> str:
    """Return a value as one line of strict JSON; NaN and infinity become null, bytes base64, dates ISO 8601."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)


def plain(value: Any) -> Any:
    """Return a value converted to JSON's types; NaN and infinity become None, bytes base64, dates ISO 8601."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return value if value is None or isinstance(value, str | int | float) else str(value)
