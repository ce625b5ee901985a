"""apply --push-to-hub, by the real client, against a stand-in of the hub on loopback."""

import io
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import click.testing
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from lossrank.publish.card_merge import END, MARK, merged_card
from lossrank.publish.destination import refuse_output
from lossrank.publish.hub import push, refuse_push
from scorer import ModelBundle, RunError, ScoreOptions, score_dataset
from tests.support import ROOT
from tests.support.commands import Lossrank, command_line
from tests.support.facts import facts, tells
from tests.support.fake_hub import TOKEN, FakeHub, Repo
from tests.support.publishing import decide, with_features
from tests.support.tiny import CLASSES

NAME = "me/corrected"
Apply = Callable[..., click.testing.Result]


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    hub = FakeHub()
    with hub.serving():
        yield hub


@pytest.fixture(scope="module")
def scored(tiny_bundle: ModelBundle, rows: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("push")
    pq.write_table(with_features(rows, label=CLASSES), folder / "news.parquet")
    score_dataset(tiny_bundle, folder / "news.parquet", folder / "run", ScoreOptions(threads=1))
    decide(folder / "run", {3: "World"})
    return folder / "run"


def apply_in_a_process(hub: FakeHub, run: Path, out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own: the client reads the hub's address when it is imported."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(out.parent / "home"), "HF_HUB_DISABLE_XET": "1"}
    command = command_line("apply", run, "-o", out, *arguments)
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment | {"HF_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def client(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process's client of the hub, as a new process would have it with the hub's address in HF_ENDPOINT."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr("datasets.config.HF_ENDPOINT", hub.url)
    template = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr("huggingface_hub.file_download.HUGGINGFACE_CO_URL_TEMPLATE", template)
    for name, value in {
        "ENDPOINT": hub.url,
        "HF_HUB_CACHE": str(tmp_path / "cache"),
        "HF_HUB_DISABLE_XET": True,
    }.items():
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)


@pytest.fixture
def apply(client: None, lossrank: Lossrank, monkeypatch: pytest.MonkeyPatch) -> Callable[..., click.testing.Result]:
    """Run the command in this process: ``apply(run, out, "--force", token=None)``."""

    def applying(run: Path, out: Path, *arguments: str, token: str | None = TOKEN) -> click.testing.Result:
        with monkeypatch.context() as patched:
            if token is None:
                patched.delenv("HF_TOKEN")
            else:
                patched.setenv("HF_TOKEN", token)
            return lossrank("apply", run, "-o", out, *arguments)

    return applying


@pytest.fixture
def here(client: None, tmp_path: Path) -> Path:
    """A folder to push to the hub whose data are never reached."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_text(f"---\ntags: [lossrank]\n---\n\n{MARK}\n\n# Ours\n\n{END}\n")
    return tmp_path / "out"


def head(card: bytes) -> dict[str, object]:
    found = yaml.safe_load(card.decode().split("---")[1])
    assert isinstance(found, dict)
    return found


def test_the_card_goes_first_and_the_whole_data_set_follows(
    hub: FakeHub, scored: Path, rows: pa.Table, tmp_path: Path
) -> None:
    done = apply_in_a_process(hub, scored, tmp_path / "out", "--push-to-hub", NAME, "--private", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["url"] == f"{hub.url}/datasets/{NAME}"
    repo = hub.repos[NAME]
    assert repo.private
    assert repo.commits[0] == ["README.md"]
    assert sorted(repo.files) == ["README.md", "data/train-00000-of-00001.parquet"]
    pushed = pq.read_table(io.BytesIO(repo.files["data/train-00000-of-00001.parquet"]))
    assert pushed["text"].equals(rows["text"])
    assert pushed["label"].to_pylist()[3] == 0
    assert json.loads(pushed.schema.metadata[b"huggingface"])["info"]["features"]["label"]["names"] == list(CLASSES)
    card = repo.files["README.md"]
    assert b"**999 rows were not looked at.**" in card
    assert head(card)["configs"] == [
        {"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*"}]}
    ]
    assert head(card)["tags"] == ["lossrank", "corrected-labels"]
    assert TOKEN not in done.stdout + done.stderr


def test_a_data_set_that_is_there_is_replaced_only_when_that_is_asked_and_its_other_splits_and_words_stay(
    hub: FakeHub, scored: Path, tmp_path: Path, apply: Apply
) -> None:
    assert apply(scored, tmp_path / "out", "--push-to-hub", NAME).exit_code == 0
    repo = hub.repos[NAME]
    other = b"another split's"
    repo.files["data/dev-00000-of-00001.parquet"] = other
    there = head(repo.files["README.md"])
    there["configs"][0]["data_files"].append({"split": "dev", "path": "data/dev-*"})  # type: ignore[index]
    there |= {"license": "cc-by-4.0", "tags": ["news"]}
    repo.files["README.md"] = f"---\n{yaml.safe_dump(there)}---\n\nOlder words\n".encode()
    commits = len(repo.commits)
    again = apply(scored, tmp_path / "again", "--push-to-hub", NAME)
    assert again.exit_code == 1
    (line,) = again.stderr.splitlines()
    assert tells(line, "Error", NAME, "--force")
    assert len(repo.commits) == commits
    assert not (tmp_path / "again").exists()
    with (tmp_path / "out" / "README.md").open("a") as local:
        local.write("Words of the folder\n")
    forced = apply(scored, tmp_path / "out", "--push-to-hub", NAME, "--force")
    assert forced.exit_code == 0, forced.stderr
    assert repo.files["data/dev-00000-of-00001.parquet"] == other
    card = repo.files["README.md"]
    splits = {each["split"] for each in head(card)["configs"][0]["data_files"]}  # type: ignore[index]
    assert splits == {"train", "dev"}
    assert (head(card)["license"], head(card)["tags"]) == ("cc-by-4.0", ["news", "lossrank", "corrected-labels"])
    words, mark, part = card.decode().partition(MARK)
    assert words.endswith("---\n\nOlder words\n\n")
    assert mark
    assert "**999 rows were not looked at.**" in part
    assert part.endswith(f"{END}\n")
    assert (tmp_path / "out" / "README.md").read_text().endswith("Words of the folder\n")


def test_what_stands_in_the_way_of_a_push_is_said_before_anything_is_written(
    hub: FakeHub, scored: Path, tmp_path: Path, apply: Apply
) -> None:
    hub.repos["me/public"] = Repo()
    hub.repos["me/broken"] = Repo(files={"README.md": b"---\ntags: [news\n---\n"})
    out = tmp_path / "out"
    for arguments, token, named in (
        (["--push-to-hub", NAME], None, ["--push-to-hub", "HF_TOKEN"]),
        (["--push-to-hub", "news"], TOKEN, ["--push-to-hub", "news", "OWNER/NAME"]),
        (["--push-to-hub", NAME], "hf_wrong", ["HF_TOKEN"]),
        (["--push-to-hub", "me/public", "--private", "--force"], TOKEN, ["me/public", "--private"]),
        (["--push-to-hub", "me/broken", "--force"], TOKEN, ["README.md", "me/broken"]),
    ):
        done = apply(scored, out, *arguments, token=token)
        assert done.exit_code == 1
        assert done.stderr.startswith("Error: ")
        assert tells(done.stderr, *named)
        assert "hf_wrong" not in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert not out.exists()
    assert not [request for request in hub.requests if request[0] == "POST"]


def test_a_push_that_fails_keeps_what_was_written_and_leaves_no_data_without_a_card(
    hub: FakeHub, scored: Path, tmp_path: Path, apply: Apply
) -> None:
    hub.refuse = "/commit/"
    done = apply(scored, tmp_path / "out", "--push-to-hub", NAME)
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert tells(line, "Error", NAME, tmp_path / "out", "--force")
    assert hub.repos[NAME].files == {}
    assert (tmp_path / "out" / "README.md").is_file()
    hub.refuse = "/info/lfs/"
    assert apply(scored, tmp_path / "out", "--push-to-hub", NAME, "--force").exit_code == 1
    assert list(hub.repos[NAME].files) == ["README.md"]
    assert not [entry for entry in tmp_path.iterdir() if entry.name.startswith(".out")]


@pytest.mark.parametrize("form", ["parquet", "save_to_disk"])
def test_both_formats_can_be_pushed(hub: FakeHub, scored: Path, tmp_path: Path, apply: Apply, form: str) -> None:
    done = apply(scored, tmp_path / "out", "--push-to-hub", NAME, "--format", form)
    assert done.exit_code == 0, done.stderr
    assert "data/train-00000-of-00001.parquet" in hub.repos[NAME].files
    assert done.stderr == ""
    refuse_output(tmp_path / "out", "train", force=True)


def test_a_card_is_not_taken_from_the_clients_cache_when_the_hub_does_not_answer(hub: FakeHub, here: Path) -> None:
    repo = hub.repos[NAME] = Repo(files={"README.md": b"---\nlicense: mit\n---\nOlder words\n"})
    refuse_push(NAME, private=False, force=True)
    repo.files["README.md"] = newer = b"---\nlicense: mit\n---\nWhat a person wrote since\n"
    hub.refuse = "/resolve/"
    with pytest.raises(RunError, match=facts("card", NAME)):
        refuse_push(NAME, private=False, force=True)
    with pytest.raises(RunError, match=facts(NAME, "pushed")):
        push(here, NAME, "train", private=False)
    assert repo.files == {"README.md": newer}


def test_what_a_person_changes_between_the_reading_and_the_writing_of_the_card_stays(
    hub: FakeHub, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = hub.repos[NAME] = Repo(files={"README.md": b"---\nlicense: mit\n---\nOlder words\n"})
    newer = b"---\nlicense: mit\n---\nWhat a person wrote since\n"

    def late(*read: object, **how: bool) -> str:
        repo.files["README.md"] = newer
        return str(merged_card(*read, **how))  # type: ignore[arg-type]

    monkeypatch.setattr("lossrank.publish.hub.merged_card", late)
    with pytest.raises(RunError, match=facts(NAME, "changed", here, "force")):
        push(here, NAME, "train", private=False)
    assert repo.files == {"README.md": newer}


def test_a_private_data_set_that_is_there_is_replaced_only_when_that_is_asked(hub: FakeHub, here: Path) -> None:
    hub.repos[NAME] = Repo(private=True)
    with pytest.raises(RunError, match=facts(NAME, "force")):
        refuse_push(NAME, private=True, force=False)
    refuse_push(NAME, private=True, force=True)
