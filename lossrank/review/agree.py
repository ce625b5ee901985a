"""agree(): turn several people's answers to a row into one decision, by a policy."""

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
    """A row on which the answers give no decision, with each annotator's latest answer to it."""

    row: int
    answers: tuple[Answer, ...]


def check_policy(policy: str) -> str:
    """Return the policy if it is valid.

    Raises:
        RunError: the policy is neither one of ``POLICIES`` nor ``user=NAME``.
    """
    if policy not in POLICIES and not (policy.startswith(_USER) and len(policy) > len(_USER)):
        raise RunError(f"`policy` is {policy!r}; it must be one of: {', '.join(POLICIES)}, {_USER}NAME")
    return policy


def agree(
    answers: Iterable[Answer], policy: str, given: Mapping[int, str | None], class_names: Collection[str], source: str
) -> tuple[list[Decision], list[Disagreement]]:
    """Return decisions on the rows that the answers settle under the policy, and a Disagreement for each other row.

    Both lists are in row order. With ``user=NAME``, a row without an answer from that person is in neither list.

    Only each person's latest answer to a row counts. ``majority`` needs the same answer from more than half of the
    people who answered the row, ``unanimous`` from all of them. ``latest`` takes the last answer, unless a different
    one was given at the same moment. ``user=NAME`` takes that person's answer. If the winning answer is not a class of
    the model, the row is not decided.

    ``given`` maps rows to their label in the data, as a class name; an answer equal to it keeps the row. A decision's
    ``annotator`` lists the people who gave the winning answer, by name; its ``decided_at`` is the time of the last of
    their answers.

    Raises:
        RunError: the policy is not valid.
        RunError: the policy names a person who gave no answer.
    """
    check_policy(policy)
    answers = list(answers)
    _refuse_nobody(policy, answers)
    decisions, disagreements = [], []
    by_row = sorted(answers, key=lambda answer: (answer.row, answer.answered_at))
    for row, of_row in groupby(by_row, key=lambda answer: answer.row):
        latest = list({answer.annotator: answer for answer in of_row}.values())
        latest.sort(key=lambda answer: (answer.answered_at, answer.annotator))
        winners = _winners(latest, policy)
        if winners and is_verdict(winners[0], class_names):
            decisions.append(_decision(row, winners, given.get(row), source))
        elif winners or not policy.startswith(_USER):
            disagreements.append(Disagreement(row, tuple(latest)))
    return decisions, disagreements


def is_verdict(answer: Answer, class_names: Collection[str]) -> bool:
    """Return whether an answer can decide a row: it must discard the row or name exactly one class of the model."""
    return answer.label is None or (answer.label in class_names and not answer.several)


def _refuse_nobody(policy: str, answers: list[Answer]) -> None:
    names = sorted({answer.annotator for answer in answers})
    if policy.startswith(_USER) and names and policy.removeprefix(_USER) not in names:
        who = policy.removeprefix(_USER)
        raise RunError(f"`policy` is {policy!r}, but {who!r} gave no answer; NAME must be one of: {', '.join(names)}")


def _winners(latest: list[Answer], policy: str) -> list[Answer]:
    """Return the answers that agree with the decision, the latest last; an empty list if there is no decision."""
    if policy.startswith(_USER):
        return [answer for answer in latest if answer.annotator == policy.removeprefix(_USER)]
    if policy == "latest":
        choice = latest[-1].choice
        if any(other.choice != choice for other in latest if other.answered_at == latest[-1].answered_at):
            return []
    else:
        choice, votes = Counter(answer.choice for answer in latest).most_common(1)[0]
        if votes < len(latest) if policy == "unanimous" else 2 * votes <= len(latest):
            return []
    return [answer for answer in latest if answer.choice == choice]


def _decision(row: int, winners: list[Answer], given: str | None, source: str) -> Decision:
    label = winners[0].label
    verdict = DISCARDED if label is None else KEPT if label == given else RELABELLED
    who = TOGETHER.join(sorted(answer.annotator for answer in winners))
    return Decision(row, verdict, label if verdict == RELABELLED else None, who, source, winners[-1].answered_at)
