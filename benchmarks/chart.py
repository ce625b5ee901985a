"""Draw the charts of docs/benchmarks.md from the JSON."""

from pathlib import Path
from typing import Any

_OURS, _PEER = "#1b6ca8", "#b8bcc2"


def draw(result: dict[str, Any], file: Path) -> Path:
    """Draw the rows per second as bars, with one panel per workload."""
    plt = _pyplot()
    workloads = list(result["workloads"].values())
    most = max(len(workload["candidates"]) for workload in workloads)
    columns = 2 if len(workloads) > 1 else 1
    lines = -(-len(workloads) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(6.6 * columns, (0.34 * most + 0.9) * lines), squeeze=False)
    for axis in axes.flat[len(workloads) :]:
        axis.set_visible(False)
    for axis, workload in zip(axes.flat, workloads, strict=False):
        found = sorted(workload["candidates"].values(), key=lambda figures: figures["rows_per_second"])
        mean = workload["rows"]["mean"]
        rates = [figures["rows_per_second"] for figures in found]
        ranges = [[rate / mean for rate in figures["tokens_per_second_range"]] for figures in found]
        errors = [
            [max(0.0, rate - low) for rate, (low, _) in zip(rates, ranges, strict=True)],
            [max(0.0, high - rate) for rate, (_, high) in zip(rates, ranges, strict=True)],
        ]
        colours = [_OURS if figures["lossrank"] else _PEER for figures in found]
        titles = [figures["title"].replace(" (int8, worst 1% again in fp32)", "") for figures in found]
        axis.barh(titles, rates, color=colours, xerr=errors, error_kw={"lw": 0.8, "ecolor": "#555555"})
        for at, (rate, (_, high)) in enumerate(zip(rates, ranges, strict=True)):
            axis.text(max(rate, high), at, f" {rate:,.0f}", va="center", fontsize=8)
        axis.set_title(f"{workload['title']}: rows per second", fontsize=10, loc="left")
        axis.margins(x=0.14)
    return _save(figure, axes, file)


def draw_sweeps(sweeps: dict[str, Any], file: Path) -> Path:
    """Draw lossrank's tokens per second by number of cores, batch size and text length."""
    plt = _pyplot()
    titles = {"cores": "cores", "batch_tokens": "tokens of a batch", "length": "tokens of a text"}
    figure, axes = plt.subplots(1, len(titles), figsize=(11, 2.8), squeeze=False)
    for axis, (name, title) in zip(axes.flat, titles.items(), strict=True):
        points = [str(point) for point in sweeps[name]]
        axis.plot(points, [rate / 1000 for rate in sweeps[name].values()], color=_OURS, marker="o")
        axis.set_ylim(bottom=0)
        axis.set_title(f"by {title}", fontsize=10, loc="left")
    axes[0][0].set_ylabel("thousand tokens per second", fontsize=8)
    return _save(figure, axes, file)


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "lossrank"  # so that the same figures give the same file
    import matplotlib.pyplot as plt

    return plt


def _save(figure: Any, axes: Any, file: Path) -> Path:
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    return file
