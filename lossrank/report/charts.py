"""Draw the report's charts with Vega-Lite as SVG; the report then needs no JavaScript library.

Colours are CSS variables of the report, so the charts follow the report's light, dark and print styles.
"""

import json
import re
from typing import Any

import vl_convert
from markupsafe import Markup

from scorer.text import printable

_CLASSES = 20  # classes that the bar charts show
_LABEL = 120  # pixels for a class name
_CONFIG = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--soft)",
        "titleColor": "var(--soft)",
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    },
}


def loss_histogram(histogram: dict[str, Any], width: int) -> Markup:
    """Return a histogram of the losses, with a log scale of rows, split by whether the model agrees with the label."""
    edges = histogram["edges"]
    step = edges[1] - edges[0]
    values = []
    for low, high, agree, disagree in zip(
        edges[:-1], edges[1:], histogram["agree"], histogram["disagree"], strict=True
    ):
        bin_range = f"{low:g} nats and more" if high is None else f"{low:g} to {high:g} nats"
        middle = low + step / 2 if agree and disagree else None  # two bars share the width of a bin
        for rows, kind, left, right in (
            (agree, "agree", low, middle or low + step),
            (disagree, "disagree", middle or low, low + step),
        ):
            if rows:
                tooltip = f"{bin_range}: {rows:,} rows where the model {kind}s with the given label"
                values.append({"low": left, "high": right, "rows": rows, "kind": kind, "tooltip": tooltip})
    most = max(value["rows"] for value in values)
    ticks = [10**power for power in range(len(str(most)))]
    encoding = {
        "x": {"field": "low", "type": "quantitative", "title": "loss in nats", "axis": {"grid": False, "tickCount": 8}},
        "x2": {"field": "high"},
        "y": {
            "field": "rows",
            "type": "quantitative",
            "title": "rows (log scale)",
            "scale": {"type": "log", "domain": [0.5, most * 1.3]},
            "axis": {"values": ticks, "format": ",d", "minExtent": 46},
        },
        "y2": {"datum": 0.5},
        "color": {
            "field": "kind",
            "type": "nominal",
            "legend": None,
            "scale": {"domain": ["agree", "disagree"], "range": ["var(--agree)", "var(--disagree)"]},
        },
        "description": {"field": "tooltip"},
    }
    mark = {"type": "bar", "stroke": "var(--page)", "strokeWidth": 0.5}
    return _draw({"data": {"values": values}, "mark": mark, "encoding": encoding, "height": 220}, width - 70)


def class_bars(classes: list[dict[str, Any]], width: int) -> Markup:
    """Return the mean loss and accuracy of each given class, highest mean loss first, for at most 20 classes."""
    values = [counts for counts in classes if counts["mean_loss"] is not None]
    values = sorted(values, key=lambda counts: -counts["mean_loss"])[:_CLASSES]
    names = [_drawable(counts["name"]) for counts in values]
    values = [
        {
            **counts,
            "name": name,
            "at": str(i),  # not the name: two names may differ only by case or blanks
            "loss_tooltip": f"{name}: mean loss {counts['mean_loss']:.3f} nats",
            "accuracy_tooltip": f"{name}: accuracy {counts['accuracy']:.1%}",
        }
        for i, (name, counts) in enumerate(zip(names, values, strict=True))
    ]
    panels = []
    for field, title, colour, form in (
        ("mean_loss", "mean loss in nats", "var(--disagree)", ".2~f"),
        ("accuracy", "accuracy", "var(--agree)", ".0%"),
    ):
        first = field == "mean_loss"
        axis = {
            "title": None,
            "domain": False,
            "ticks": False,
            "labelExpr": _names(names),
            "labelPadding": 6,
            **_room(names),
        }
        top = max((counts["mean_loss"] for counts in values), default=0.0) or 1.0
        panels.append(
            {
                "mark": {"type": "bar", "cornerRadiusEnd": 2, "color": colour, "height": 12},
                "width": (width - 60 - _room(names)["minExtent"]) // 2,
                "height": {"step": 22},
                "encoding": {
                    "y": {"field": "at", "type": "nominal", "sort": None, "axis": axis if first else None},
                    "x": {
                        "field": field,
                        "type": "quantitative",
                        "title": title,
                        "scale": {"domain": [0, top if first else 1]},
                        "axis": {"format": form, "tickCount": 3},
                    },
                    "description": {"field": "loss_tooltip" if first else "accuracy_tooltip"},
                },
            }
        )
    return _draw({"data": {"values": values}, "hconcat": panels, "spacing": 24})


def confusion_matrix(document: dict[str, Any]) -> Markup:
    """Return the confusion matrix of the most confused classes; its rows are given classes, its columns predicted."""
    shown = document["most_confused"]
    classes = [document["classes"][k] for k in shown]
    names = [_drawable(counts["name"]) for counts in classes]
    values = []
    for i, given in enumerate(classes):
        for j, rows in enumerate(document["confused_matrix"][i]):
            share = rows / given["given"] if given["given"] else 0.0
            tooltip = f"given {names[i]}, predicted {names[j]}: {rows:,} rows, {share:.1%} of the given class"
            text = f"{rows:,}" if rows else ""
            values.append(
                {
                    "given": str(i),
                    "predicted": str(j),
                    "text": text,
                    "part": f"{share:.1%}" if rows else "",
                    "share": share,
                    "right": i == j,
                    "tooltip": tooltip,
                }
            )
    few = len(shown) <= 8
    size = 72 if few else 40
    axis = {"domain": False, "ticks": False, "labelExpr": _names(names), "labelPadding": 6}
    across = {
        **axis,
        "labelLimit": _LABEL,
        "title": "predicted",
        "orient": "top",
        "labelAngle": 0 if few and all(len(name) <= 10 for name in names) else -45,
    }
    place = {
        "x": {"field": "predicted", "type": "nominal", "sort": None, "axis": across},
        "y": {"field": "given", "type": "nominal", "sort": None, "axis": {**axis, "title": "given", **_room(names)}},
    }
    colour = {"condition": {"test": "datum.right", "value": "var(--agree)"}, "value": "var(--disagree)"}
    strength = {
        "field": "share",
        "type": "quantitative",
        "scale": {"domain": [0, 1], "range": [0.06, 1]},
        "legend": None,
    }
    ink = {"condition": {"test": "datum.share > 0.7", "value": "var(--on-colour)"}, "value": "var(--ink)"}
    layers = [
        {
            "mark": {"type": "rect", "cornerRadius": 3, "stroke": "var(--page)", "strokeWidth": 2},
            "encoding": {"color": colour, "fillOpacity": strength, "description": {"field": "tooltip"}},
        },
        _text("text", 14 if few else 11, -7 if few else 0, ink),
        *([_text("part", 11, 10, ink)] if few else []),
    ]
    spec = {"width": {"step": size}, "height": {"step": 52 if few else 30}, "encoding": place, "layer": layers}
    return _draw({"data": {"values": values}, **spec})


def _text(field: str, size: int, dy: int, ink: dict[str, Any]) -> dict[str, Any]:
    mark = {"type": "text", "fontSize": size, "dy": dy, "aria": False}
    return {"mark": mark, "encoding": {"text": {"field": field}, "color": ink}}


def _drawable(name: str) -> str:
    """Return a class name without control characters: one of them in a text ends the whole process in vl-convert."""
    return printable(name, "\ufffd")


def _names(names: list[str]) -> str:
    """Return a Vega expression that turns a class index on an axis into the name of the class."""
    return f"{json.dumps(names)}[+datum.value]"


def _room(names: list[str]) -> dict[str, int]:
    """Return the width (pixels) of an axis of class names; it has room for fonts wider than this machine's."""
    return {"labelLimit": _LABEL, "minExtent": min(8 * max(map(len, names), default=0), _LABEL * 5 // 4)}


def _draw(spec: dict[str, Any], width: int | None = None) -> Markup:
    spec = {"config": _CONFIG, **spec, **({} if width is None else {"width": width})}
    svg = vl_convert.vegalite_to_svg(spec)
    # SVG inside HTML needs no namespaces; without them the file has no URL at all.
    return Markup(re.sub(r' xmlns(?::\w+)?="[^"]*"', "", svg, count=2))  # noqa: S704  # Vega escapes what it draws
