"""Write docs/benchmarks.md from the JSON: tables, charts, and how it was measured."""

import argparse
import json
from pathlib import Path
from textwrap import fill
from typing import Any

from benchmarks.candidates import NAMES
from benchmarks.runner import DISTURBED

_INT8 = "ratio_to_best_int8_peer"
CHART, SWEEPS = "benchmarks.svg", "benchmarks-sweeps.svg"
METHOD = Path(__file__).with_name("method.md")


def write_page(result: dict[str, Any], docs: Path) -> Path:
    """Write ``benchmarks.md`` and its charts to a folder."""
    from benchmarks.chart import draw, draw_sweeps

    draw(result, docs / CHART)
    if "sweeps" in result:
        draw_sweeps(result["sweeps"], docs / SWEEPS)
    page = docs / "benchmarks.md"
    page.write_text(page_text(result), encoding="utf-8")
    return page


def page_text(result: dict[str, Any]) -> str:
    """Return the page, with links to the two charts."""
    parts = ["# Benchmarks", _machine(result), f"![rows per second of every candidate]({CHART})"]
    for workload in result["workloads"].values():
        model = result["models"][workload["model"]]
        parts.append(_workload(workload, model, result["matrix_peak_flops"]))
    for name, reason in result.get("not_measured", {}).items():
        parts.append(f"Not measured: `{name}`: {reason}.")
    if "sweeps" in result:
        parts.append(_sweeps(result["sweeps"]))
    parts += [METHOD.read_text(encoding="utf-8").strip(), _agreement(result), _versions(result)]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(head: list[str], lines: list[list[str]]) -> str:
    """Return a Markdown table whose first column is text and whose others are numbers."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *lines])


def _machine(result: dict[str, Any]) -> str:
    machine = result["machine"]
    return fill(
        f"Written by `make bench` on {result['date'][:10]}, in {result['seconds'] / 60:.0f} minutes. "
        f"{machine['cpu']} ({machine['family']}; {', '.join(machine['instructions'])}), "
        f"{len(machine['cores'])} of {machine['cores_of_machine']} cores, "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB, {machine['system']}, Python {machine['python']}. "
        f"The matrix peak, the best rate at which these cores multiply fp32 matrices, is "
        f"{result['matrix_peak_flops'] / 1e9:.0f} GFLOP/s.",
        width=120,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _workload(workload: dict[str, Any], model: dict[str, Any], peak: float) -> str:
    rows, losses = workload["rows"], workload["losses"]
    parameters = model.get("token_parameters")
    candidates = workload["candidates"]
    head = [
        "candidate",
        "rows/s",
        "range",
        "tokens/s",
        "times the tutorial",
        "times the best fp32 peer",
        "times the best int8 peer",
    ]
    head += ["of the fp32 peak"] if parameters else []
    head += ["rows timed", "memory, MB"]
    lines = []
    for name in NAMES:
        if name in candidates:
            figures = candidates[name]
            low, high = (rate / rows["mean"] for rate in figures["tokens_per_second_range"])
            cells = [f"**{figures['title']}**" if figures["lossrank"] else figures["title"]]
            cells += [
                f"{figures['rows_per_second']:,.1f}",
                f"{low:,.0f}-{high:,.0f}",
                f"{figures['tokens_per_second']:,.0f}",
            ]
            cells += [
                f"{figures[key]:.2f}" if key in figures and (key != _INT8 or figures["precision"] != "fp32") else ""
                for key in ("ratio_to_tutorial", "ratio_to_best_fp32_peer", _INT8)
            ]
            if parameters:
                cells.append(f"{2 * parameters * figures['tokens_per_second'] / peak:.0%}")
            lines.append([*cells, f"{figures['rows']:,}", f"{figures['peak_memory_bytes'] / 1e6:,.0f}"])
    spread = (
        f" Losses: 1st percentile {losses['p1']:.2f}, median {losses['p50']:.2f}, 99th percentile {losses['p99']:.2f}."
        if losses
        else ""
    )
    text = (
        f"## {workload['title']}\n\n"
        f"{rows['mean']:.1f} tokens per row (median {rows['p50']:.0f}, 99th percentile {rows['p99']:.0f}, "
        f"longest {rows['p100']:.0f}).{spread}\n\n{table(head, lines)}"
    )
    screen = candidates.get("lossrank_screen", {}).get("notes", {}).get("screen") or {}
    if "rescored" in screen:
        rows_timed = candidates["lossrank_screen"]["rows"]
        text += f"\n\nScreen scored {screen['rescored']:,} of the {rows_timed:,} rows again in fp32."
    busy = [share for figures in candidates.values() for share in figures.get("taken_by_others", [])]
    if disturbed := sum(share >= DISTURBED for share in busy):
        text += (
            f"\n\n**Disturbed**: in {disturbed} of {len(busy)} repeats other processes took {DISTURBED:.0%} or more of "
            f"the cores, up to {max(busy):.0%}. Measure again on a quiet machine."
        )
    missing = "\n".join(f"- `{name}`: {reason}" for name, reason in workload["not_measured"].items())
    return text + (f"\n\nNot measured:\n\n{missing}" if missing else "")


def _sweeps(sweeps: dict[str, Any]) -> str:
    lines = []
    for name, title in (("cores", "cores"), ("batch_tokens", "tokens per batch"), ("length", "tokens per text")):
        rates = ", ".join(f"{point}: {rate:,.0f}" for point, rate in sweeps[name].items())
        lines.append([title, rates])
    return (
        "## lossrank fp32 by cores, batch size and length\n\n"
        f"The model is MiniLM-L6 size. The first two lines use {sweeps['rows']:,} news rows, the third uses texts of "
        "one length. Figures are medians of three.\n\n"
        f"![tokens per second]({SWEEPS})\n\n{table(['by', 'tokens per second'], lines)}"
    )


def _agreement(result: dict[str, Any]) -> str:
    lines = []
    for workload in result["workloads"].values():
        for name in NAMES:
            agreement = workload["candidates"].get(name, {}).get("agreement", {})
            for other, title in (("to_torch", "torch's loop"), ("to_lossrank_fp32", "lossrank fp32")):
                if found := agreement.get(other):
                    lines.append(
                        [workload["title"], workload["candidates"][name]["title"], title, f"{found['rows']:,}"]
                        + [f"{found[key]:.1e}" for key in ("mean", "p99_9", "max")]
                        + [f"{found['worst_rows_shared']:.0%} of {found['worst_rows']}"]
                    )
    head = ["workload", "candidate", "compared with", "rows", "mean", "99.9th percentile", "largest", "worst 1% shared"]
    return f"## Differences of losses, in nats\n\n{table(head, lines)}"


def _versions(result: dict[str, Any]) -> str:
    found: dict[str, set[str]] = {}
    for workload in result["workloads"].values():
        for figures in workload["candidates"].values():
            for name, version in figures["versions"].items():
                found.setdefault(name, set()).add(version)
    listed = ", ".join(f"{name} {' and '.join(sorted(found[name]))}" for name in sorted(found))
    return "## Versions\n\n" + fill(f"{listed}.", width=120, break_long_words=False, break_on_hyphens=False)


def main() -> None:
    """Write the page and its charts from a JSON file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=main.__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("docs", type=Path)
    options = parser.parse_args()
    print(write_page(json.loads(options.result.read_text(encoding="utf-8")), options.docs))


if __name__ == "__main__":
    main()
