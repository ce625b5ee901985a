"""Build the `lossrank apply` command that a page or a message suggests as the next step."""

import shlex

from lossrank.publish.split import refuse_test_split
from scorer import RunDirectory, RunError
from scorer.data.reopen import places
from scorer.data.source import Data
from scorer.data.spec import FilesSpec, TableSpec


def apply_command(run: RunDirectory, data: Data | None = None) -> str:
    """Return the command that writes a run's corrected data; ``data`` is where the data is now, if it has moved.

    If the run scored data in memory, ``--data FILE`` stands for a file with the same rows.
    """
    moved = places(data) or (["FILE"] if isinstance(run.manifest.data.spec, TableSpec) else [])
    words = ["lossrank", "apply", str(run.path), "-o", "OUT", *(word for place in moved for word in ("--data", place))]
    try:
        refuse_test_split(run.manifest.data.spec, *(FilesSpec(data=place) for place in places(data)))
    except RunError:
        words.append("--allow-test-split")
    return shlex.join(words)
