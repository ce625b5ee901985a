"""`lossrank pull` from a real Rubrix 0.18 server."""

from collections.abc import Callable

import pytest
from click.testing import Result

from scorer import RunDirectory, rank
from tests.servers.news import decisions, given, id_of, other
from tests.servers.process import on
from tests.servers.rubrix_people import Rubrix
from tests.support.facts import counts

pytestmark = [pytest.mark.servers, on("rubrix")]
Lossrank = Callable[..., Result]


def test_what_people_decided_comes_back(rubrix: Rubrix, name: str, run: RunDirectory, lossrank: Lossrank) -> None:
    lossrank("log", run.path, "--name", name, "--top", 30)
    keep, relabel, discard, changed, bens = (row.row for row in rank(run, 5))
    rubrix.answer(name, run, {keep: given(keep), relabel: other(relabel), discard: None, changed: given(changed)})
    rubrix.answer(name, run, {changed: other(changed), bens: other(bens)}, who="ben")
    rubrix.answer(name, run, {bens: None})
    result = lossrank("pull", run.path)
    assert (result.exit_code, result.stderr.count("\n")) == (0, 1)  # where it pulls from
    assert counts(result.stdout) == [5, 1, 2, 2, 5]  # answers, kept, relabelled, discarded, new
    assert decisions(run) == {
        keep: ("kept", None, "ana"),
        relabel: ("relabelled", other(relabel), "ana"),
        discard: ("discarded", None, "unknown"),
        changed: ("relabelled", other(changed), "ben"),
        bens: ("discarded", None, "ben"),
    }
    assert counts(lossrank("pull", run.path).stdout)[-1] == 0
    rubrix.answer(name, run, {keep: other(keep)})
    assert counts(lossrank("pull", run.path).stdout)[-1] == 1


def test_the_real_client_reads_the_decisions_that_were_pulled(
    rubrix: Rubrix, name: str, run: RunDirectory, lossrank: Lossrank
) -> None:
    lossrank("log", run.path, "--name", name, "--top", 30)
    rows = [row.row for row in rank(run, 6)]
    rubrix.answer(name, run, {row: other(row) for row in rows})
    lossrank("pull", run.path)
    validated = rubrix.read_back(name, "status: Validated")
    assert {record["id"]: record["annotation"] for record in validated} == {
        id_of(run, row): label for row, (_, label, _) in decisions(run).items()
    }
