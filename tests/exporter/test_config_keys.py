"""Keys of config.json that the loading class does not read."""

import json
from pathlib import Path
from typing import Any

import pytest

from exporter.config_keys import unread_keys
from tests.support.tiny_models import build, edit, quiet


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("bert", tmp_path_factory.mktemp("bert"))


@quiet
def unread(folder: Path, **changes: Any) -> list[str]:
    from transformers import AutoConfig

    before = (folder / "config.json").read_text()
    try:
        edit(folder, **changes)
        return unread_keys(json.loads((folder / "config.json").read_text()), AutoConfig.from_pretrained(folder))
    finally:
        (folder / "config.json").write_text(before)


def test_what_saved_it_ignored_the_same_keys(folder: Path) -> None:
    assert unread(folder, my_threshold=0.5) == []


@pytest.mark.parametrize("saved", ["2.11.0", "99.0.0", None])
def test_of_another_version_a_key_that_is_not_read_is_found(folder: Path, saved: str | None) -> None:
    assert unread(folder, transformers_version=saved, rope_parameters={"rope_theta": 9.0}) == ["rope_parameters"]


@pytest.mark.parametrize(
    "harmless",
    [
        # as the hub's checkpoints of BERT's kin have them
        {"directionality": "bidi", "pooler_fc_size": 768, "pooler_type": "first_token_transform"},
        {"output_past": True, "_num_labels": 4, "finetuning_task": "mnli", "torch_dtype": "float16"},
        {"position_embedding_type": "absolute", "gradient_checkpointing": True, "save_step": 9},
        {"a_later_switch": False, "another": None, "a_list": []},
        {"max_length": 20, "num_beams": 4, "temperature": 0.7},  # of generation
        {"hidden_dropout_prob": 0.3, "a_new_dropout": 0.1, "initializer_factor": 1.0},
        {"chunk_size_feed_forward": 2, "layer_norm_eps": 1e-5},  # which the class reads
    ],
)
def test_keys_that_change_nothing_or_are_read(folder: Path, harmless: dict[str, Any]) -> None:
    assert unread(folder, transformers_version="3.5.1", **harmless) == []
