"""Several annotators, one decision."""

from dataclasses import replace

import pytest

from lossrank.review.agree import Disagreement, agree, check_policy
from lossrank.review.decision import DISCARDED, KEPT, RELABELLED, Answer, Decision
from scorer import RunError
from tests.support.facts import facts

CLASSES = ("World", "Sports", "Business")
GIVEN = {1: "World", 2: None}


def said(annotator: str, label: str | None, second: int = 0, row: int = 1) -> Answer:
    return Answer(row, annotator, label, f"2026-01-01T00:00:{second:02d}.000000+00:00")


def decided(answers: list[Answer], policy: str) -> list[tuple[int, str, str | None, str]]:
    decisions, _ = agree(answers, policy, GIVEN, CLASSES, "argilla")
    return [(one.row, one.verdict, one.label, one.annotator) for one in decisions]


def test_an_answer_keeps_relabels_or_discards() -> None:
    assert decided([said("ann", "World")], "majority") == [(1, KEPT, None, "ann")]
    assert decided([said("ann", "Sports")], "majority") == [(1, RELABELLED, "Sports", "ann")]
    assert decided([said("ann", None)], "majority") == [(1, DISCARDED, None, "ann")]
    assert decided([said("ann", "World", row=2)], "majority") == [(2, RELABELLED, "World", "ann")]


def test_a_majority_is_more_than_half() -> None:
    two, three = [said("ann", "Sports", 1), said("bob", "World")], said("cy", "Sports")
    assert decided(two, "majority") == []
    assert decided([*two, three], "majority") == [(1, RELABELLED, "Sports", "ann; cy")]


def test_unanimous_wants_all() -> None:
    assert decided([said("ann", "Sports"), said("bob", "Sports")], "unanimous") == [
        (1, RELABELLED, "Sports", "ann; bob")
    ]
    assert decided([said("ann", "Sports"), said("bob", "Sports"), said("cy", None)], "unanimous") == []


def test_latest_and_user() -> None:
    answers = [said("ann", "Sports", 5), said("bob", "World", 9), said("cy", None, 1)]
    assert decided(answers, "latest") == [(1, KEPT, None, "bob")]
    assert decided(answers, "user=ann") == [(1, RELABELLED, "Sports", "ann")]
    with pytest.raises(RunError, match=facts("'dan'", "ann, bob, cy")):
        agree(answers, "user=dan", GIVEN, CLASSES, "argilla")
    assert agree([], "user=dan", GIVEN, CLASSES, "argilla") == ([], [])


def test_who_answers_again_is_the_latest() -> None:
    three = [said("ana", "World", 1), said("ben", "Sports", 2), said("ana", "Business", 3)]
    assert decided(three, "latest") == [(1, RELABELLED, "Business", "ana")]


def test_of_answers_that_differ_and_are_as_late_as_each_other_none_is_the_latest() -> None:
    assert decided([said("zoe", "Sports", 1), said("ana", None, 1)], "latest") == []
    assert decided([said("zoe", "Sports", 1), said("ana", "Sports", 1), said("ben", None)], "latest") == [
        (1, RELABELLED, "Sports", "ana; zoe")
    ]


@pytest.mark.parametrize("policy", ["majority", "unanimous", "latest", "user=ana"])
def test_several_classes_at_once_are_no_class_whatever_the_classes_are_called(policy: str) -> None:
    answers = [replace(said("ana", "World, Sports", 1), several=True)]
    assert agree(answers, policy, GIVEN, (*CLASSES, "World, Sports"), "doccano")[0] == []
    votes = [*answers, said("ben", "World, Sports"), said("cy", "World, Sports")]
    decisions, _ = agree(votes, "majority", GIVEN, (*CLASSES, "World, Sports"), "doccano")
    assert [one.annotator for one in decisions] == ["ben; cy"]


def test_of_one_person_the_latest_answer_counts() -> None:
    assert decided([said("ann", "Sports", 9), said("ann", "World", 3)], "unanimous") == [
        (1, RELABELLED, "Sports", "ann")
    ]


def test_what_is_not_agreed_on_is_named_with_its_answers() -> None:
    answers = [said("bob", "World", 1), said("ann", "Sports", 2)]
    assert agree(answers, "majority", GIVEN, CLASSES, "argilla") == ([], [Disagreement(1, tuple(answers))])


def test_a_decision_is_of_the_moment_of_its_latest_answer() -> None:
    decisions, _ = agree([said("ann", "Sports", 2), said("bob", "Sports", 7)], "majority", GIVEN, CLASSES, "argilla")
    moment = "2026-01-01T00:00:07.000000+00:00"
    assert decisions == [Decision(1, RELABELLED, "Sports", "ann; bob", "argilla", moment)]


@pytest.mark.parametrize("policy", ["most", "user=", ""])
def test_a_policy_that_is_none_is_refused(policy: str) -> None:
    with pytest.raises(RunError, match=facts("majority", "unanimous", "latest", "user=NAME")):
        check_policy(policy)


@pytest.mark.parametrize("policy", ["majority", "unanimous", "latest", "user=bob"])
def test_an_answer_that_is_no_class_has_its_vote_and_decides_nothing(policy: str) -> None:
    answers = [said("ann", "World", 1), said("bob", "Business, Sports", 2)]
    assert agree(answers, policy, GIVEN, CLASSES, "doccano") == ([], [Disagreement(1, tuple(answers))])
