"""tokenizer.json: the same ids as transformers', slow tokenizers converted, everything else refused."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from exporter import ModelError, export_model
from exporter.load import _misfits
from exporter.tokenizer import _first_difference
from scorer.model.tokenizer import BundleTokenizer
from tests.support import SOAK
from tests.support.facts import facts
from tests.support.tiny_models import build, edit, quiet, sentencepiece_model


def refused(model: Path, *named: object) -> None:
    output = model.parent / "bundle"
    with pytest.raises(ModelError, match=facts(*named)) as caught:
        export_model(model, output)
    assert str(caught.value).startswith("model can't be exported: ")
    assert "\n" not in str(caught.value)
    assert [entry.name for entry in model.parent.iterdir()] == ["model"]


@quiet
def transformers_ids(model: Path, texts: list[str], max_tokens: int) -> list[list[int]]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    return [tokenizer(text, truncation=True, max_length=max_tokens)["input_ids"] for text in texts]


TEXTS = ["The bank raised its rate.", "Žluťoučký kůň 世界 👍", "", "  the   MARKET\n", "chip " * 100]


@pytest.mark.parametrize("kind", ["bert", "roberta", "albert", "deberta-v2", "xlm-roberta", "electra"])
def test_a_slow_tokenizer_is_converted(tmp_path: Path, kind: str) -> None:
    model = build(kind, tmp_path / "model")
    (model / "tokenizer.json").unlink()
    bundle = export_model(model, tmp_path / "bundle")
    window = BundleTokenizer(bundle).tokenise(TEXTS)
    rows = [window.ids[a:b].tolist() for a, b in zip(window.offsets, window.offsets[1:], strict=False)]
    assert rows == transformers_ids(model, TEXTS, bundle.max_tokens)
    assert len(set(map(tuple, rows))) == len(rows)
    assert window.truncated.tolist() == [False, False, False, False, True]


def test_a_slow_tokenizer_that_can_not_be_converted(tmp_path: Path) -> None:
    """BERTweet's has no fast version in transformers."""
    model = build("roberta", tmp_path / "model")
    for file in ("tokenizer.json", "vocab.json", "merges.txt"):
        (model / file).unlink()
    (model / "vocab.txt").write_text("".join(f"{word} 1\n" for word in ("the", "bank", "market")))
    (model / "bpe.codes").write_text("t h 1\nth e</w> 1\n")
    edit(model, "tokenizer_config.json", tokenizer_class="BertweetTokenizer")
    refused(model, "BertweetTokenizer", "slow", "tokenizer.json")


def test_a_model_without_a_tokenizer(tmp_path: Path) -> None:
    model = build("albert", tmp_path / "model")
    for file in ("tokenizer.json", "tokenizer_config.json", "spiece.model", "special_tokens_map.json"):
        (model / file).unlink()
    refused(model, "no tokenizer", "tokenizer.json, vocab.txt, vocab.json, tokenizer_config.json")


def test_a_damaged_tokenizer(tmp_path: Path) -> None:
    model = build("bert", tmp_path / "model")
    (model / "tokenizer.json").write_text("{}")
    refused(model, "tokenizer", "can't be loaded")


def test_a_tokenizer_with_code_of_its_own(tmp_path: Path) -> None:
    model = build("bert", tmp_path / "model")
    changes: dict[str, Any] = {"tokenizer_class": "Mine", "auto_map": {"AutoTokenizer": ["code.Mine", None]}}
    edit(model, "tokenizer_config.json", **changes)
    (model / "code.py").write_text("raise SystemExit('ran code from the model')")
    refused(model, "tokenizer", "can't be loaded")


def test_what_transformers_does_beside_tokenizer_json_is_seen(tmp_path: Path) -> None:
    """With split_special_tokens, a literal [SEP] in a text is text; tokenizer.json can't say so."""
    model = edit(build("bert", tmp_path / "model"), "tokenizer_config.json", split_special_tokens=True)
    with pytest.raises(ModelError) as caught:
        export_model(model, tmp_path / "bundle")
    found = re.fullmatch(
        r"model can't be exported: its tokenizer\.json gives other ids than its tokenizer in transformers for text "
        r"(\d+) of (\d+) \('(\[.*)'\): (\d+) instead of (\d+) at token \d+",
        str(caught.value),
    )
    assert found is not None, caught.value
    assert int(found[1]) < int(found[2])
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_type_ids_that_transformers_leaves_out_are_seen(tmp_path: Path) -> None:
    model = build("bert", tmp_path / "model")
    edit(model, "tokenizer_config.json", model_input_names=["input_ids", "attention_mask"])
    with pytest.raises(ModelError, match=facts("tokenizer.json", "token type ids", "1 instead of 0")):
        export_model(model, tmp_path / "bundle", exporter="optimum")


@SOAK
def test_type_ids_that_a_tokenizer_does_not_give_are_no_input_of_torchs_graph(tmp_path: Path) -> None:
    model = build("bert", tmp_path / "model")
    edit(model, "tokenizer_config.json", model_input_names=["input_ids", "attention_mask"])
    assert "token_type_ids" not in export_model(model, tmp_path / "bundle", exporter="torch", int8=False).input_names


def test_a_casing_that_only_the_tokenizer_configuration_knows_is_written(tmp_path: Path) -> None:
    """BertTokenizerFast corrects the file it loads; the bundle has the corrected one."""
    model = edit(build("bert", tmp_path / "model"), "tokenizer_config.json", do_lower_case=False)
    normalizer = json.loads((model / "tokenizer.json").read_text())["normalizer"]
    assert normalizer["lowercase"] is True
    bundle = export_model(model, tmp_path / "bundle")
    assert json.loads(bundle.tokenizer_file.read_text())["normalizer"]["lowercase"] is False
    lower, upper = (BundleTokenizer(bundle).tokenise([text]).ids.tolist() for text in ("market", "MARKET"))
    assert [lower, upper] == transformers_ids(model, ["market", "MARKET"], bundle.max_tokens)
    assert lower != upper


def test_truncation_and_padding_in_the_file_are_dropped(tmp_path: Path) -> None:
    model = build("bert", tmp_path / "model")
    content = json.loads((model / "tokenizer.json").read_text())
    content["truncation"] = {"direction": "Right", "max_length": 9, "strategy": "LongestFirst", "stride": 2}
    content["padding"] = {
        "strategy": {"Fixed": 32}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
        "pad_token": "[PAD]",
    }  # fmt: skip
    (model / "tokenizer.json").write_text(json.dumps(content))
    bundle = export_model(model, tmp_path / "bundle")
    written = json.loads(bundle.tokenizer_file.read_text())
    assert (written["truncation"], written["padding"]) == (None, None)
    window = BundleTokenizer(bundle).tokenise(["chip " * 20])
    assert window.lengths.tolist() == [22]


def test_padding_on_the_left_does_not_matter(tmp_path: Path) -> None:
    """The bundle pads on the right, where even a decoder finds the text's last token."""
    model = edit(build("gpt2", tmp_path / "model"), "tokenizer_config.json", padding_side="left")
    assert export_model(model, tmp_path / "bundle").parity().max_logit_difference < 1e-4


def test_a_tokenizer_larger_than_the_model(tmp_path: Path) -> None:
    model = build("bert", tmp_path / "model")
    content = json.loads((model / "tokenizer.json").read_text())
    size = len(content["model"]["vocab"])
    content["model"]["vocab"]["zebra"] = size + 6
    (model / "tokenizer.json").write_text(json.dumps(content))
    refused(model, size + 6, size - 1)


def test_a_model_with_another_number_of_outputs(tmp_path: Path) -> None:
    assert misfits(build("distilbert", tmp_path), 3) == ["it has 4 outputs but config.json has 3 classes"]
    assert misfits(tmp_path, 4) == []


@quiet
def misfits(model: Path, classes: int) -> list[str]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    network = AutoModelForSequenceClassification.from_pretrained(model).eval()
    return _misfits(network, AutoTokenizer.from_pretrained(model), classes)


@pytest.mark.parametrize(
    ("tokenizer_pad", "config_pad", "expected"), [("[PAD]", 0, 0), (None, 3, 3), ("[PAD]", None, 0), (None, None, 0)]
)
def test_the_padding_token(tmp_path: Path, tokenizer_pad: str | None, config_pad: int | None, expected: int) -> None:
    model = build("distilbert", tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "pad_token_id": config_pad}))
    settings = json.loads((model / "tokenizer_config.json").read_text())
    (model / "tokenizer_config.json").write_text(json.dumps({**settings, "pad_token": tokenizer_pad}))
    (model / "special_tokens_map.json").unlink()
    assert export_model(model, tmp_path / "bundle").pad_id == expected


def test_a_byte_fallback_that_the_conversion_drops(tmp_path: Path) -> None:
    """transformers warns that the fast DeBERTa tokenizer gives [UNK] for it; what it gives is what it is trained on."""
    model = build("deberta-v3", tmp_path / "model", vocab_size=500)
    (model / "tokenizer.json").unlink()
    sentencepiece_model(
        model / "spm.model", 450, byte_fallback=True, pad_id=0, pad_piece="[PAD]", bos_id=1, bos_piece="[CLS]",
        eos_id=2, eos_piece="[SEP]", unk_id=3, unk_piece="[UNK]", user_defined_symbols=["[MASK]"],
    )  # fmt: skip
    bundle = export_model(model, tmp_path / "bundle")
    window = BundleTokenizer(bundle).tokenise(["bank 漢字"])
    assert [window.ids.tolist()] == transformers_ids(model, ["bank 漢字"], bundle.max_tokens)


def test_the_first_difference_is_named() -> None:
    assert _first_difference([5, 6, 7], [5, 8, 7]) == "6 instead of 8 at token 1"
    assert _first_difference([5, 6], [5, 6, 7]) == "2 tokens, not 3"
