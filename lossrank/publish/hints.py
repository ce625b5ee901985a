"""Build the `lossrank apply` command that a page or a message suggests as the next step."""

import shlex
from collections.abc import Iterable

from lossrank.publish.split import refuse_test_split
from scorer import RunDirectory, RunError
from scorer.data.spec import FilesSpec


def apply_command(run: RunDirectory, data: Iterable[str] = ()) -> str:
    """Return the command that writes a run's corrected data; ``data`` is where the data is now, if it has moved."""
    words = ["lossrank", "apply", str(run.path), "-o", "OUT", *(word for place in data for word in ("--data", place))]
    try:
        refuse_test_split(run.manifest.data.spec, *(FilesSpec(data=place) for place in data))
    except RunError:
        words.append("--allow-test-split")
    return shlex.join(words)
