"""Several people's answers about one row to one decision, by a policy."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from lossrank.review.decision import DISCARDED, KEPT, RELABELLED, TOGETHER, Answer, Decision
from scorer import RunError

POLICIES = ("majority", "unanimous", "latest")
_USER = "user="


@dataclass(frozen=True)
class Disagreement:
    """A row that its annotators' answers decide nothing of, and the latest answer of each of them."""

    row: int
    answers: tuple[Answer, ...]


def check_policy(policy: str) -> str:
    """Return a policy that is one.

    Raises:
        RunError: it is none.
    """
    if policy not in POLICIES and not (policy.startswith(_USER) and len(policy) > len(_USER)):
        raise RunError(f"the policy is {policy!r}; it must be one of: {', '.join(POLICIES)}, {_USER}NAME")
    return policy


def agree(
    answers: Iterable[Answer], policy: str, given: Mapping[int, str | None], class_names: Collection[str], source: str
) -> tuple[list[Decision], list[Disagreement]]:
    """Return one decision for each row that its answers agree on by the policy, and the rows that they don't, by row.

    Of each person only the latest answer to a row counts. ``majority`` wants more than half of them, ``unanimous`` all,
    ``latest`` takes the last one given, unless others were given at the same moment that differ, and ``user=NAME`` that
    person's. ``given`` are the rows' labels in the data, as class names: an answer that is the given label keeps the
    row. Where the answer that would decide is no class, nothing is decided.

    A decision's ``annotator`` are those who gave its answer, by name; its moment is their latest.

    Raises:
        RunError: the policy is none, or names somebody who answered nothing.
    """
    check_policy(policy)
    answers = list(answers)
    _refuse_nobody(policy, answers)
    decisions, disagreements = [], []
    for row, of_row in groupby(sorted(answers, key=lambda one: (one.row, one.answered_at)), key=lambda one: one.row):
        latest = list({one.annotator: one for one in of_row}.values())
        latest.sort(key=lambda one: (one.answered_at, one.annotator))
        winners = _winners(latest, policy)
        if winners and is_verdict(winners[0], class_names):
            decisions.append(_decision(row, winners, given.get(row), source))
        elif winners or not policy.startswith(_USER):
            disagreements.append(Disagreement(row, tuple(latest)))
    return decisions, disagreements


def is_verdict(answer: Answer, class_names: Collection[str]) -> bool:
    """Say whether an answer can decide: it discards the row, or names one class of the model."""
    return answer.label is None or (answer.label in class_names and not answer.several)


def _refuse_nobody(policy: str, answers: list[Answer]) -> None:
    names = sorted({one.annotator for one in answers})
    if policy.startswith(_USER) and names and policy.removeprefix(_USER) not in names:
        who = policy.removeprefix(_USER)
        raise RunError(f"nobody called {who!r} answered; the policy {_USER}NAME takes one of: {', '.join(names)}")


def _winners(latest: list[Answer], policy: str) -> list[Answer]:
    """Return those whose answer decides, in the order of their answers; none if nothing is decided."""
    if policy.startswith(_USER):
        return [one for one in latest if one.annotator == policy.removeprefix(_USER)]
    if policy == "latest":
        choice = latest[-1].choice
        if any(one.choice != choice for one in latest if one.answered_at == latest[-1].answered_at):
            return []
    else:
        choice, votes = Counter(one.choice for one in latest).most_common(1)[0]
        if votes < len(latest) if policy == "unanimous" else 2 * votes <= len(latest):
            return []
    return [one for one in latest if one.choice == choice]


def _decision(row: int, winners: list[Answer], given: str | None, source: str) -> Decision:
    label = winners[0].label
    verdict = DISCARDED if label is None else KEPT if label == given else RELABELLED
    who = TOGETHER.join(sorted(one.annotator for one in winners))
    return Decision(row, verdict, label if verdict == RELABELLED else None, who, source, winners[-1].answered_at)
