"""Build the `lossrank apply` command that a page or a message suggests as the next step."""

import shlex

from lossrank.publish.split import refuse_test_split
from scorer import RunDirectory, RunError
from scorer.data.source import Data, paths_of
from scorer.data.spec import FilesSpec


def apply_command(run: RunDirectory, data: Data | None = None) -> str:
    """Return the command that writes a run's corrected data; ``data`` is where the data is now, if it has moved.

    Data in memory is not part of the command, because the command line can't name it.
    """
    places = paths_of(data) or ()
    words = ["lossrank", "apply", str(run.path), "-o", "OUT", *(word for place in places for word in ("--data", place))]
    try:
        refuse_test_split(run.manifest.data.spec, *(FilesSpec(data=place) for place in places))
    except RunError:
        words.append("--allow-test-split")
    return shlex.join(words)
