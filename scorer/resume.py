"""Whether a new run's plan is that of the run that is there: what must be the same for it to go on."""

from typing import Any

# The rest of the manifest is a record.
_COMPARED = ("bundle", "data", "columns", "labels", "options")
_IDENTITY = ("sha256", "fingerprint", "rows")  # of bundle and data, wherever they lie


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Say what differs between two runs' plans, each as ``what: the run's there, the new one's here``."""
    found = []
    for part in _COMPARED:
        before, now = _flat(old.get(part)), _flat(new[part])
        for key in dict.fromkeys([*before, *now]):
            if before.get(key) != now.get(key) and not (part in ("bundle", "data") and key not in _IDENTITY):
                found.append(f"{part} {key} is {_short(before.get(key))} there, {_short(now.get(key))} here")
    return found


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return a nested part's values by path, such as ``map 'world'``."""
    if not isinstance(value, dict):
        return {}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        name = f"{prefix}{key!r}" if prefix else str(key)
        flat |= _flat(item, f"{name} ") if isinstance(item, dict) else {name: item}
    return flat


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:12] + "..."
