"""`lossrank pull` from several people's files, one after the other or together: whose decision holds."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lossrank.review.decision import RELABELLED, Decision
from lossrank.review.records import record_id
from lossrank.review.store import DecisionStore
from scorer import RunDirectory
from tests.support.commands import Lossrank
from tests.support.facts import counts

NAMES = {name: 1_600_000_000 + i for i, name in enumerate(("ana", "ben", "cy", "Lee", "Ann"))}  # and when they saved


@pytest.fixture
def files(fresh: RunDirectory, tmp_path: Path) -> Callable[..., list[Path]]:
    """Write what each person says of row 1, or of it and row 2, and return the files."""

    def write(*, later: int = 0, **words: str | list[str]) -> list[Path]:
        made = []
        for name, said in words.items():
            ids = [record_id(fresh.data_fingerprint, row) for row in (1, 2)]
            lines = zip(ids, [said] if isinstance(said, str) else said, strict=False)
            file = tmp_path / f"{name}.csv"
            file.write_text("record_id,decision\n" + "".join(f"{id},{word}\n" for id, word in lines))
            os.utime(file, (NAMES[name] + later,) * 2)
            made.append(file)
        return made

    return write


def held(run: RunDirectory, row: int = 1) -> tuple[str | None, str] | None:
    with DecisionStore(run) as store:
        decision = store.get(row)
    return (decision.label, decision.annotator) if decision else None


LATER = 500_000_000  # seconds: the files are saved once more, after all else


def test_an_old_word_does_not_win_when_its_file_is_saved_again(
    fresh: RunDirectory, lossrank: Lossrank, files: Callable[..., list[Path]]
) -> None:
    lossrank("pull", fresh.path, *files(ana="Sports"))
    with DecisionStore(fresh) as store:
        store.decide(1, RELABELLED, "Sci/Tech", annotator="carol")
    saved = files(ana=["Sports", "discard"], ben=["", "discard"], later=LATER)
    result = lossrank("pull", fresh.path, *saved)
    assert held(fresh) == ("Sci/Tech", "carol")
    assert held(fresh, 2) == (None, "ana; ben")
    assert counts(result.stdout)[-1] == 1


def test_nor_when_some_of_those_who_agreed_are_pulled_again(
    fresh: RunDirectory, lossrank: Lossrank, files: Callable[..., list[Path]]
) -> None:
    lossrank("pull", fresh.path, *files(ana="Sports", ben="Sports", cy="Sports"))
    assert held(fresh) == ("Sports", "ana; ben; cy")
    with DecisionStore(fresh) as store:
        store.decide(1, RELABELLED, "Sci/Tech", annotator="carol")
    result = lossrank("pull", fresh.path, *files(ana="Sports", ben="Sports", later=LATER))
    assert held(fresh) == ("Sci/Tech", "carol")
    assert counts(result.stdout.splitlines()[1]) == [1]  # older than what was decided here


def test_of_people_whose_files_come_one_by_one_the_last_new_word_holds(
    fresh: RunDirectory, lossrank: Lossrank, files: Callable[..., list[Path]]
) -> None:
    lossrank("pull", fresh.path, *files(ana="Sports"))
    lossrank("pull", fresh.path, *files(ben="Sci/Tech"))
    lossrank("pull", fresh.path, *files(ana=["Sports", "discard"], later=LATER))
    assert held(fresh) == ("Sci/Tech", "ben")
    lossrank("pull", fresh.path, *files(ana="World", later=LATER + 10))
    assert held(fresh) == ("World", "ana")


def test_others_who_disagree_do_not_take_back_what_somebody_decided(
    fresh: RunDirectory, lossrank: Lossrank, files: Callable[..., list[Path]]
) -> None:
    lossrank("pull", fresh.path, *files(ana="Sports"))
    result = lossrank("pull", fresh.path, *files(ben="World", cy="discard"))
    assert counts(result.stderr) == [1, 1]  # one row keeps its decision, row 1
    assert held(fresh) == ("Sports", "ana")
    document = json.loads(lossrank("pull", fresh.path, *files(ana="Sports", cy="discard"), "--json").stdout)
    assert (document["taken_back"], document["open_rows"], len(document["disagreements"])) == (1, [1], 1)
    assert held(fresh) is None


def test_those_who_disagree_by_now_take_their_decision_back_and_the_pull_says_so(
    fresh: RunDirectory, lossrank: Lossrank, files: Callable[..., list[Path]]
) -> None:
    lossrank("pull", fresh.path, *files(ana="Sports", ben="Sports"))
    result = lossrank("pull", fresh.path, *files(ana="Sports", ben="World", later=LATER))
    assert [counts(line) for line in result.stderr.splitlines()] == [[1], [1, 1]]  # taken back, and open: row 1
    assert held(fresh) is None


def test_a_word_that_was_taken_out_and_is_said_once_more_is_new(
    fresh: RunDirectory, lossrank: Lossrank, files: Callable[..., list[Path]]
) -> None:
    lossrank("pull", fresh.path, *files(ana="Sports"))
    with DecisionStore(fresh) as store:
        store.decide(1, RELABELLED, "Sci/Tech", annotator="carol")
    lossrank("pull", fresh.path, *files(ben="", later=LATER))  # somebody else's empty file
    lossrank("pull", fresh.path, *files(ana="Sports", later=LATER))
    assert held(fresh) == ("Sci/Tech", "carol")
    lossrank("pull", fresh.path, *files(ana="", ben="World", later=LATER))
    lossrank("pull", fresh.path, *files(ana="Sports", later=LATER + 20))
    assert held(fresh) == ("Sports", "ana")


def test_another_policy_decides_anew_what_the_same_people_said(
    fresh: RunDirectory, lossrank: Lossrank, files: Callable[..., list[Path]]
) -> None:
    said = files(ana="Sports", ben="World", cy="World")
    lossrank("pull", fresh.path, *said)
    assert held(fresh) == ("World", "ben; cy")
    arbiter = lossrank("pull", fresh.path, *said, "--policy", "user=ana")
    assert (held(fresh), arbiter.stderr) == (("Sports", "ana"), "")
    assert counts(arbiter.stdout)[-1] == 1
    assert counts(lossrank("pull", fresh.path, *said, "--policy", "user=ana").stdout)[-1] == 0
    lossrank("pull", fresh.path, *said)
    assert held(fresh) == ("World", "ben; cy")
    with DecisionStore(fresh) as store:
        store.decide(1, RELABELLED, "Sci/Tech", annotator="carol")
    lossrank("pull", fresh.path, *said, "--policy", "user=ana")
    assert held(fresh) == ("Sci/Tech", "carol")


def test_an_older_copy_of_somebodys_file_does_not_take_their_newer_word_back(
    fresh: RunDirectory, lossrank: Lossrank, files: Callable[..., list[Path]]
) -> None:
    lossrank("pull", fresh.path, *files(ana="World", later=1000))
    result = lossrank("pull", fresh.path, *files(ana="Sports"))
    assert [counts(line) for line in result.stdout.splitlines()] == [[1, 0, 1, 0, 0], [1]]  # one is outdated
    assert held(fresh) == ("World", "ana")
    assert counts(lossrank("pull", fresh.path, *files(ana="World", later=1000)).stdout)[-1] == 0
    assert held(fresh) == ("World", "ana")


def test_nor_does_it_vote_for_what_they_said_before(
    fresh: RunDirectory, lossrank: Lossrank, files: Callable[..., list[Path]]
) -> None:
    lossrank("pull", fresh.path, *files(ana="World"))
    lossrank("pull", fresh.path, *files(ana="Sports", later=1000))
    done = lossrank("pull", fresh.path, *files(ana="World", ben="World"), "--json")  # but ana says Sports by now
    document = json.loads(done.stdout)
    assert (document["outdated"], document["relabelled"], document["open_rows"]) == (1, 0, [1])
    assert [answer["label"] for answer in document["disagreements"][0]["answers"]] == ["World", "Sports"]
    assert held(fresh) is None


def test_an_older_copy_that_is_still_empty_makes_no_word_new(
    fresh: RunDirectory, lossrank: Lossrank, files: Callable[..., list[Path]]
) -> None:
    lossrank("pull", fresh.path, *files(ana="World"))
    with DecisionStore(fresh) as store:
        store.decide(1, RELABELLED, "Sci/Tech", annotator="carol")
    lossrank("pull", fresh.path, *files(ana="", later=-1000))
    lossrank("pull", fresh.path, *files(ana=["World", "discard"], later=LATER))
    assert held(fresh) == ("Sci/Tech", "carol")


@pytest.mark.parametrize(("policy", "holds"), [("majority", None), ("user=ana", ("World", "ana"))])
def test_beside_somebody_elses_newer_file_it_stands_for_the_newer_word(
    fresh: RunDirectory,
    lossrank: Lossrank,
    files: Callable[..., list[Path]],
    policy: str,
    holds: tuple[str, str] | None,
) -> None:
    lossrank("pull", fresh.path, *files(ana="World", later=1000))
    lossrank("pull", fresh.path, *files(ana="Sports"), *files(ben="Sci/Tech", later=2000), "--policy", policy)
    assert held(fresh) == holds


def test_an_older_copy_does_not_make_the_newer_word_new(
    fresh: RunDirectory, lossrank: Lossrank, files: Callable[..., list[Path]]
) -> None:
    lossrank("pull", fresh.path, *files(ana="Sports"))
    with DecisionStore(fresh) as store:
        store.decide(1, RELABELLED, "Sci/Tech", annotator="carol")
    lossrank("pull", fresh.path, *files(ana="World", later=-1000))
    lossrank("pull", fresh.path, *files(ana="Sports", later=LATER))
    assert held(fresh) == ("Sci/Tech", "carol")


def test_a_person_whose_word_decides_leaves_alone_the_rows_they_did_not_answer(
    fresh: RunDirectory, lossrank: Lossrank, files: Callable[..., list[Path]]
) -> None:
    lossrank("pull", fresh.path, *files(ana=["Sports", "Sports"]))
    lossrank("pull", fresh.path, *files(ana=["Sports", "Sports"], ben=["World", ""]), "--policy", "user=ben")
    assert (held(fresh), held(fresh, 2)) == (("World", "ben"), ("Sports", "ana"))


def test_a_file_of_a_clock_that_was_ahead_can_be_corrected(
    fresh: RunDirectory, lossrank: Lossrank, files: Callable[..., list[Path]]
) -> None:
    lossrank("pull", fresh.path, *files(ana="Sports", later=2_000_000_000))
    for word in ("World", "Sports", "World"):
        lossrank("pull", fresh.path, *files(ana=word, later=int(time.time()) - NAMES["ana"] + 1))
        assert held(fresh) == (word, "ana")
    with DecisionStore(fresh) as store:
        store.decide(1, RELABELLED, "Sci/Tech", annotator="carol")
    lossrank("pull", fresh.path, *files(ana="World", later=LATER))  # what she said before carol
    assert held(fresh) == ("Sci/Tech", "carol")


def test_what_a_clock_that_was_ahead_dated_is_taken_back_as_any_other(
    fresh: RunDirectory, lossrank: Lossrank, files: Callable[..., list[Path]]
) -> None:
    lossrank("pull", fresh.path, *files(ana="Sports", later=2_000_000_000))
    soon = int(time.time()) - NAMES["ana"] + 2
    lossrank("pull", fresh.path, *files(ana="Sports", ben="World", later=soon))
    assert held(fresh) is None
    lossrank("pull", fresh.path, *files(ana="World", later=soon + 1))
    lossrank("pull", fresh.path, *files(ana="Sports", ben="Sci/Tech", later=soon + 2))
    assert held(fresh) is None


def test_the_latest_of_answers_that_are_as_old_as_each_other_is_nobodys(
    fresh: RunDirectory, lossrank: Lossrank, tmp_path: Path
) -> None:
    ids = [record_id(fresh.data_fingerprint, row) for row in (1, 2)]
    file = tmp_path / "a.csv"
    said = [(0, "World", "zoe"), (0, "Sports", "ana"), (1, "discard", "zoe"), (1, "discard", "ana")]
    lines = [(ids[place], *words) for place, *words in said]
    file.write_text("record_id,decision,annotator\n" + "".join(",".join(line) + "\n" for line in lines))
    result = lossrank("pull", fresh.path, file, "--policy", "latest")
    assert counts(result.stderr) == [1, 1]
    assert held(fresh) is None
    assert held(fresh, 2) == (None, "ana; zoe")


def test_a_name_with_a_comma_is_one_persons(
    fresh: RunDirectory, lossrank: Lossrank, files: Callable[..., list[Path]]
) -> None:
    with DecisionStore(fresh) as store:
        store.add([Decision(1, RELABELLED, "Sports", "Lee, Ann", "csv", "2020-01-01T00:00:00.000000+00:00")])
    lossrank("pull", fresh.path, *files(Lee="World", Ann="discard"))  # who disagree, and are two others
    assert held(fresh) == ("Sports", "Lee, Ann")
