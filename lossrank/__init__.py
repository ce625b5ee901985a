"""Find the mislabelled rows of a text-classification data set by model loss."""

from typing import Any

from lossrank.siblings import refuse_others

__all__ = ["__version__"]

refuse_others()

__version__: str


def __getattr__(name: str) -> Any:
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    value = globals()[name] = version("lossrank")
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
