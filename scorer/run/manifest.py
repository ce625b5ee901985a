"""``run.json``, the manifest of a run directory: what it must hold to be one."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from string import hexdigits
from typing import Any

from scorer.errors import RunError
from scorer.layout import MANIFEST

FORMAT = 2
MOST_SHARDS = 1_000_000  # the manifest lists each one

_ANEW = "start anew with `lossrank score ... --overwrite`"
_Check = Callable[[Any], bool]
_LARGEST = 2**53  # up to here every JSON reader holds whole numbers exactly


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest of a run directory.

    Raises:
        RunError: there is no run directory, it is of a newer or older format, or its manifest is damaged.
    """
    if not path.is_dir():
        raise RunError(
            f"{path} {'is a file' if path.exists() else 'does not exist'}; `lossrank score ... -o RUN` makes one"
        )
    try:
        text = (path / MANIFEST).read_text(encoding="utf-8")
        manifest = json.loads(text)
        if "\\u" in text:  # half a surrogate pair, which could not be written again
            json.dumps(manifest, ensure_ascii=False).encode()
    except FileNotFoundError:
        raise RunError(
            f"{path} is not a run directory (no {MANIFEST}); `lossrank score ... -o RUN` makes one"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path / MANIFEST} can't be read ({error}); {_ANEW}") from error
    if not isinstance(manifest, dict) or not _count(manifest.get("format")):
        raise RunError(f"{path / MANIFEST} is not a run's manifest; {_ANEW}")
    if manifest["format"] > FORMAT:
        raise RunError(f"{path} was written by a newer lossrank (format {manifest['format']}); upgrade lossrank")
    if manifest["format"] < FORMAT:
        raise RunError(
            f"{path} was written by an older lossrank (format {manifest['format']}); score the data again with "
            "`lossrank score ... --overwrite`"
        )
    _refuse_damage(path / MANIFEST, manifest)
    return manifest


def damaged(file: Path, what: str, mend: str = _ANEW, *, quotes_data: bool = False) -> RunError:
    """Return the error of a manifest that is not as lossrank writes it."""
    return RunError(f"{file} is damaged: {what}; {mend}", quotes_data=quotes_data)


def refuse_many_shards(rows: int, shard_rows: int) -> None:
    """Pass a run whose shards a manifest can list.

    Raises:
        RunError: there are more.
    """
    if rows > MOST_SHARDS * shard_rows:
        raise RunError(
            f"{rows:,} rows make more than {MOST_SHARDS:,} shards of {shard_rows:,}; give a larger --shard-rows"
        )


def _refuse_damage(file: Path, manifest: dict[str, Any]) -> None:
    """Pass a manifest whose parts are all such as lossrank writes them; what is in them besides is left alone.

    Raises:
        RunError: one is not; it is named.
    """
    for part, check in _NEEDED.items():
        if part not in manifest:
            raise damaged(file, f"its {part} is missing")
        if not check(manifest[part]):
            raise damaged(file, f"its {part} is not as lossrank writes it")
    for part, check in _DISPENSABLE.items():
        if part in manifest and not check(manifest[part]):
            mend = "take it out of the file, and the same `lossrank score` command goes on"
            raise damaged(file, f"its {part} is not as lossrank writes it", mend)
    if manifest["data"]["rows"] > MOST_SHARDS * manifest["options"]["shard_rows"]:
        raise damaged(file, f"it names rows for more than {MOST_SHARDS:,} shards")


def _has(checks: Mapping[str, _Check], **perhaps: _Check) -> _Check:
    """Return the check of an object that has these values, and perhaps others."""

    def check(value: Any) -> bool:
        return (
            isinstance(value, dict)
            and all(name in value and each(value[name]) for name, each in checks.items())
            and all(each(value[name]) for name, each in perhaps.items() if name in value)
        )

    return check


def _each(check: _Check) -> _Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _by_name(check: _Check) -> _Check:
    return lambda value: isinstance(value, dict) and all(map(check, value.values()))


def _or_null(check: _Check) -> _Check:
    return lambda value: value is None or check(value)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _place(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value  # no file system takes that


def _hash(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set(hexdigits)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST


def _count(value: Any) -> bool:
    return _index(value) and value >= 0


def _some(value: Any) -> bool:
    return _count(value) and value > 0


def _number(value: Any) -> bool:
    # NaN and the infinities, which Python reads, are within no bounds.
    return isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST


def _amount(value: Any) -> bool:
    return _number(value) and value >= 0


def _moment(value: Any) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _spec(value: Any) -> bool:
    """Say whether a value is what ``open_source`` needs to open the data again."""
    if not isinstance(value, dict) or value.get("kind") not in ("files", "datasets", "table"):
        return False
    if value["kind"] == "table":
        return True
    file = _has({"file": _place})
    data = _place if value["kind"] == "datasets" else lambda each: _place(each) or _each(_place)(each)
    asked = _or_null(_place)
    return _has({"data": data}, config=asked, split=asked, streaming=_flag, files=_each(file), relative=_each(_place))(
        value
    )


def _options(value: Any) -> bool:
    checks = {"shard_rows": _some, "batch_tokens": _some, "precision": _text}
    return _has(checks)(value) and (value["precision"] != "screen" or _has({"screen_top": _some})(value))


_counts = _by_name(_count)
_seconds = _by_name(_amount)
_shard = _has(
    {
        "sha256": _hash,
        "tokens": _count,
        "padded_tokens": _count,
        "duplicates": _count,
        "unknown_labels": _counts,
        "problems": _each(_text),
    },
    by_status=_counts,
)
_control = _has({"rows": _count, "mean_error": _amount, "largest_error": _amount, "error_quantiles": _by_name(_amount)})
_screen = _has(
    {"top_k": _some, "rescored": _count},
    threshold=_amount,
    margin=_or_null(_amount),
    expected_missed=_amount,
    estimated_recall=_amount,
    control=_control,
)
_NEEDED: dict[str, _Check] = {
    "bundle": _has({"path": _place, "sha256": _hash, "model": _text, "class_names": _each(_text)}),
    "data": _has({"name": _text, "fingerprint": _hash, "rows": _some, "spec": _spec}),
    "columns": _has({"text": _text, "text_pair": _or_null(_text), "label": _or_null(_text), "id": _or_null(_text)}),
    "labels": _or_null(_has({"how": _text, "map": _by_name(_index)})),
    "options": _options,
    "shards": _by_name(_shard),
}
# What a start makes anew, or does without.
_DISPENSABLE: dict[str, _Check] = {
    "machines": _each(_has({})),
    "calibration": _has({"batch_tokens": _some, "tokens_per_second": _by_name(_amount), "why": _text}),
    "history": _each(
        _has(
            {
                "started": _moment,
                "updated": _moment,
                "ended": _or_null(_moment),
                "why": _or_null(_text),
                "pid": _count,
                "host": _text,
                "rows": _count,
                "seconds": _amount,
            },
            scoring_seconds=_amount,
        )
    ),
    "screen": _screen,
    "summary": _or_null(
        _has(
            {
                "rows": _some,
                "kept_rows": _count,
                "by_status": _counts,
                "mean_loss": _or_null(_number),
                "accuracy": _or_null(_amount),
                "truncated": _count,
                "tokens": _count,
                "padding": _number,
                "duplicates": _count,
                "by_precision": _counts,
                "screen": _or_null(_screen),
                "model_share": _amount,
                "seconds": lambda value: _seconds(value) and "total" in value,
                "peak_memory_bytes": _count,
                "unknown_labels": _counts,
                "problems": _each(_text),
            }
        )
    ),
}
