"""Push a corrected data set to the Hugging Face hub: first its card, then the data with `datasets.push_to_hub`."""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lossrank.publish.card_merge import merged_card, read_card
from lossrank.publish.destination import CARD
from lossrank.publish.save_to_disk import load_shards, quiet_datasets, require_datasets
from scorer import RunError
from scorer.errors import first_line

_NAME = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")
_CHANGED = 412  # the status of a commit whose parent is no longer the latest
TOKEN = "HF_TOKEN"  # noqa: S105  # the variable's name


def refuse_push(name: str, *, private: bool, force: bool) -> None:
    """Raise RunError if a data set can't be pushed; called before any work is done.

    Raises:
        RunError: `datasets` is not installed.
        RunError: the name is not OWNER/NAME.
        RunError: the environment has no token.
        RunError: the hub can't be reached, or refuses the token.
        RunError: the data set exists and ``force`` is not set.
        RunError: the data set is public and ``private`` is set.
        RunError: the data set's card can't be read.
    """
    require_datasets("`push_to_hub`")
    if not _NAME.fullmatch(name):
        raise RunError(f"`push_to_hub` is {name!r}; give the name of the data set as OWNER/NAME")
    if not os.environ.get(TOKEN):
        raise RunError(f"`push_to_hub` needs a token that may write; set the environment variable {TOKEN} to one")
    found = _existing(name)
    if found is None:
        return
    if not force:
        raise RunError(f"{name} exists on the hub; choose another name, or replace its split with `force=True`")
    if private and not found.private:
        raise RunError(
            f"{name} is public on the hub, but `private=True` was given; make it private first or omit `private`"
        )
    with _reporting(f"the card of {name} can't be read", f"check the network and {TOKEN}"):
        _card_on_hub(name, found.sha)


def push(out: Path, name: str, split: str, *, private: bool) -> str:
    """Push a folder that ``apply`` wrote, and return the data set's address on the hub.

    The card is pushed first, so that the data is never on the hub without it. The card on the hub keeps the text that
    people wrote and the entries for other splits.

    After an error the folder is kept, and the card may already be on the hub.

    Raises:
        RunError: the hub refuses the push or can't be reached.
        RunError: somebody changed the data set on the hub during the push.
    """
    import datasets
    from huggingface_hub.errors import HfHubHTTPError

    api = _client()
    again = f"{out} is written; apply again with `force=True` to push it"
    with _reporting(f"{name} could not be pushed", again), quiet_datasets():
        if _existing(name) is None:
            api.create_repo(name, repo_type="dataset", private=private)
        commit = api.repo_info(name, repo_type="dataset").sha
        card = merged_card((out / CARD).read_text(encoding="utf-8"), _card_on_hub(name, commit), is_whole=False)
        try:
            api.upload_file(
                path_or_fileobj=card.encode(),
                path_in_repo=CARD,
                repo_id=name,
                repo_type="dataset",
                commit_message="The card of corrected labels",
                parent_commit=commit,
            )
        except HfHubHTTPError as error:
            if error.response is not None and error.response.status_code == _CHANGED:
                raise RunError(f"{name} was changed on the hub meanwhile, so it was not pushed; {again}") from error
            raise
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as cache:
            is_saved = (out / "state.json").is_file()
            loaded = datasets.load_from_disk(str(out)) if is_saved else load_shards(out / "data", split, Path(cache))
            loaded.push_to_hub(name, split=split, token=api.token, commit_message="Labels corrected with lossrank")
            del loaded
    return f"{api.endpoint}/datasets/{name}"


def _client() -> Any:
    """Return the hub's client, without progress bars unless stderr is a terminal."""
    from huggingface_hub import HfApi
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    return HfApi(token=os.environ[TOKEN])


def _card_on_hub(name: str, commit: str) -> Any:
    """Return a data set's card at a commit, an empty card if the data set has none.

    The commit is named because otherwise the client returns an older card from its cache if the hub responds slowly.

    Raises:
        RunError: the card can't be read.
    """
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    place = f"{CARD} of {name} on the hub"
    try:
        file = Path(_client().hf_hub_download(name, CARD, repo_type="dataset", revision=commit))
    except LocalEntryNotFoundError:  # the hub was not reached, so whether there is a card is not known
        raise
    except EntryNotFoundError:
        return read_card(b"", place)
    return read_card(file.read_bytes(), place)


def _existing(name: str) -> Any:
    """Return the hub's information about a data set, None if the hub does not have it.

    Raises:
        RunError: the hub can't be reached, or refuses the token.
    """
    from huggingface_hub.errors import RepositoryNotFoundError

    with _reporting(f"the hub can't be asked about {name}", f"check the network and {TOKEN}"):
        try:
            return _client().repo_info(name, repo_type="dataset")
        except RepositoryNotFoundError as error:
            if error.response is not None and error.response.status_code == 401:
                raise RunError(f"the hub refuses the token in {TOKEN}; set it to a token that may write") from error
            return None


@contextlib.contextmanager
def _reporting(what: str, then: str) -> Iterator[None]:
    try:
        yield
    except RunError:
        raise
    except Exception as error:  # the errors of the hub's client have no common base class
        raise RunError(f"{what} ({first_line(error)}); {then}") from error
