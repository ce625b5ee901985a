"""Choose the route by which a model is exported."""

import warnings
from importlib import import_module
from typing import Any, Literal, get_args

from exporter.errors import MissingExtraError, ModelError
from exporter.routes.base import Route
from exporter.routes.with_optimum import OPTIMUM
from exporter.routes.with_torch import TORCH

Exporter = Literal["auto", "optimum", "torch"]
EXPORTERS: tuple[str, ...] = get_args(Exporter)
_ROUTES = (OPTIMUM, TORCH)  # in the order in which auto tries them


def willing(routes: list[Route], model: Any) -> list[Route]:
    """Return the routes that may convert a model, in order.

    Raises:
        ModelError: there is none.
    """
    reasons = [route.refuses(model) for route in routes]
    if all(reasons):
        raise ModelError(f"{type(model).__name__} can't be exported: {reasons[-1]}")
    return [route for route, reason in zip(routes, reasons, strict=True) if reason is None]


def choose(exporter: Exporter, model_type: str) -> list[Route]:
    """Return the routes to try for a model, in order; ``auto`` gives each that is installed and knows the model type.

    Call this outside ``captured``: on import the libraries bind their log handlers to the current stderr.

    Raises:
        ModelError: ``exporter`` is not one of ``EXPORTERS``.
        ModelError: the route does not know the model type.
        MissingExtraError: no route is installed.
    """
    if exporter not in EXPORTERS:
        raise ModelError(f"`exporter` is {exporter!r}; it must be one of {', '.join(map(repr, EXPORTERS))}")
    asked = [route for route in _ROUTES if exporter in ("auto", route.name)]
    installed = [route for route in asked if _imports(route.module)]
    if not installed:
        names = " or ".join(route.needs for route in asked)
        extra = "export,optimum" if exporter == "optimum" else "export"
        raise MissingExtraError(
            f"exporting needs {names}, which is not installed or does not load beside this transformers; run "
            f"`pip install 'lossrank[{extra}]'` (scoring an exported bundle does not need it)"
        )
    known = [route for route in installed if route.exports(model_type)]
    if not known:
        raise ModelError(
            f"optimum can't export a text classifier of model_type {model_type!r} to ONNX; try it with "
            "`exporter='torch'` (which needs onnxscript)"
        )
    return known


def _imports(module: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import_module(module)
        except (ImportError, AttributeError, RuntimeError):  # optimum beside a newer transformers raises any of them
            return False
    return True
