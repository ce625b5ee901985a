"""Write docs/models.md from tests/families/found.jsonl: `python -m docs.make_models [FILE ...]`.

Each FILE has outcomes of tests/families/matrix.py, which take the place of older ones of the same kinds in found.jsonl.
`make families` does all of it.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.families.build import ROWS
from tests.families.forms import KINDS
from tests.families.matrix import EXACT, SAME, Outcome, fault

TARGET = Path(__file__).parent / "models.md"
FOUND = Path(__file__).parents[1] / "tests" / "families" / "found.jsonl"

_INTRODUCTION = """# Which models can be exported

`make families` writes this page. It builds a small classifier of each family and form below, with seeded random
weights, exports it by each route, and scores {rows} texts with the bundle: from one token to more than the limit, odd
characters and literal special tokens among them. Each loss is compared with that of transformers, which is given one
text at a time, in float32 with eager attention. The largest difference allowed is {exact:.0e} nats; the bundles of two
routes may differ by {same:.0e}.

Your own model is compared with torch when it is exported, and refused if it is not exact. So a family that is not
listed here may work too, and is never scored wrong in silence.

The versions are {versions}. A column is a route (`lossrank export --exporter`)
beside a version of transformers; it has the largest difference of a loss. `auto` takes optimum where it is installed
and can export the model, and torch otherwise.

- **no**: this route can't export it beside this version.
- **-**: this version of transformers does not have the family, or it was not run.
- **last layer** says what is left out of it because the head never reads it: all tokens but the first (`first token`),
  and their keys and values too (`first token, folded`).
- **int8** is the mean difference of a loss in the int8 graph, which `--precision screen` uses; there is no number if
  there is no such graph. Random weights are harder to quantise than trained ones.

"""
_REWRITES = (
    ("without its keys and values", "first token, folded"),
    ("last layer on the first token only", "first token"),
    ("", ""),
)


def merged(files: Iterable[Path]) -> list[Outcome]:
    """Return the outcomes in found.jsonl with those of the files in place of older ones, in the order of the kinds."""
    place = {kind.name: i for i, kind in enumerate(KINDS)}
    found: dict[tuple[int, str, str], Outcome] = {}
    for file in (FOUND, *files):
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
            outcome = Outcome(**json.loads(line))
            if outcome.kind in place:
                found[(place[outcome.kind], outcome.transformers.partition(".")[0], outcome.route)] = outcome
    return [found[key] for key in sorted(found)]


def page(found: list[Outcome]) -> str:
    """Return docs/models.md."""
    columns = sorted({(_major(outcome), outcome.route) for outcome in found})
    versions = sorted({(name, version) for each in found for name, version in _versions(each)})
    intro = _INTRODUCTION.format(
        rows=ROWS, exact=EXACT, same=SAME, versions=", ".join(f"{name} {version}" for name, version in versions)
    )
    kinds: dict[str, dict[tuple[str, str], Outcome]] = {}
    for outcome in found:
        kinds.setdefault(outcome.kind, {})[(_major(outcome), outcome.route)] = outcome
    exact = {name: own for name, own in kinds.items() if any(each.difference is not None for each in own.values())}
    heads = [f"{route}, transformers {major}" for major, route in columns]
    lines = [f"## Exact\n\n| family or form | {' | '.join(heads)} | last layer | int8 |"]
    lines.append(f"|---|{'---:|' * len(columns)}---|---:|")
    lines += [
        f"| {name} | {' | '.join(_cell(own.get(column)) for column in columns)} | {_rewrite(own)} | {_int8(own)} |"
        for name, own in exact.items()
    ]
    lines += ["\n## Refused\n\n| family or form | transformers | reason |", "|---|---|---|"]
    for name, own in kinds.items():
        by_major = {major: each for (major, _), each in sorted(own.items()) if each.refused and name not in exact}
        by_major |= {major: each for (major, route), each in own.items() if route == "torch" and each.refused}
        reasons: dict[str, list[str]] = {}
        for major, each in by_major.items():
            reasons.setdefault(_escaped(each.refused or ""), []).append(major)
        lines += [f"| {name} | {', '.join(majors)} | {reason} |" for reason, majors in reasons.items()]
    return intro + "\n".join(lines) + "\n"


def _major(outcome: Outcome) -> str:
    return outcome.transformers.partition(".")[0]


def _versions(outcome: Outcome) -> list[tuple[str, Any]]:
    return [("torch", outcome.torch), ("transformers", outcome.transformers)]


def _cell(outcome: Outcome | None) -> str:
    if outcome is None or outcome.absent:
        return "-"
    if outcome.error:
        return "fails"
    return "no" if outcome.difference is None else f"{outcome.difference:.0e}"


def _rewrite(own: dict[tuple[str, str], Outcome]) -> str:
    """Return in short words what the rewrite left out, by route if the routes differ."""
    words: dict[str, list[str]] = {}
    for (_, route), outcome in own.items():
        if outcome.rewrite is not None:
            done = "" if outcome.rewrite.startswith("unchanged") else outcome.rewrite
            short = next(short for long, short in _REWRITES if long in done)
            words.setdefault(short, []).append(route)
    if len(words) == 1:
        return next(iter(words))
    return "; ".join(f"{short or 'nothing'} ({'/'.join(dict.fromkeys(routes))})" for short, routes in words.items())


def _int8(own: dict[tuple[str, str], Outcome]) -> str:
    """Return the mean differences of int8, from the least to the most of the routes."""
    values = [f"{outcome.int8:.2f}" for outcome in own.values() if outcome.int8 is not None]
    return "" if not values else "-".join(dict.fromkeys((min(values), max(values))))


def _escaped(reason: str) -> str:
    return reason.replace("|", "\\|").replace("\n", " ")


def main(*files: str) -> int:
    found = merged(map(Path, files))
    lines = [json.dumps({key: value for key, value in vars(each).items() if value is not None}) for each in found]
    FOUND.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    TARGET.write_text(page(found), encoding="utf-8")
    wrong = [
        f"{each.kind} by {each.route}, transformers {each.transformers}: {fault(each)}" for each in found if fault(each)
    ]
    print("\n".join([f"{TARGET}: {len(found)} outcomes, {len(wrong)} not as expected", *wrong]))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
