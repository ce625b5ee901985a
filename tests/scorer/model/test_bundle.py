"""bundle: what was saved loads again, and anything else is refused with what to do."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from cli.commands.demo import BUNDLE
from scorer import BundleError, ModelBundle
from scorer.files import file_sha256
from scorer.model.bundle_manifest import Parity, Variant
from tests.scorer.model.helpers import edit
from tests.support.tiny import CLASSES, MAX_TOKENS, make_bundle

PARITY = Parity(
    texts=87,
    max_logit_difference=2.4e-06,
    max_loss_difference=2.5e-06,
    mean_loss_difference=3e-07,
    label_agreement=1.0,
    top_k=21,
    top_k_overlap=1.0,
)


class TestRoundTrip:
    def test_load_gives_what_was_saved(self, tmp_path: Path) -> None:
        made = make_bundle(tmp_path / "b", ("Économie", "日本", "a/b"))
        full = replace(
            made,
            revision="abc",
            versions={"torch": "2.6"},
            variants={"fp32": Variant(file="model.onnx", graph="unchanged", parity=PARITY)},
        )
        full.save()
        assert ModelBundle.load(tmp_path / "b") == full
        assert ModelBundle.load(str(tmp_path / "b")) == full
        assert full.parity() == PARITY
        assert "Économie" in (tmp_path / "b" / "bundle.json").read_text(encoding="utf-8")

    def test_its_files(self, bundle: ModelBundle) -> None:
        assert bundle.class_names == CLASSES
        assert bundle.max_tokens == MAX_TOKENS
        assert bundle.model_file() == bundle.path / "model.onnx"
        assert bundle.tokenizer_file == bundle.path / "tokenizer.json"
        assert bundle.files["model.onnx"] == file_sha256(bundle.model_file())

    def test_the_hash_of_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"abc")
        assert file_sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    def test_a_variant_that_is_not_there(self, bundle: ModelBundle) -> None:
        with pytest.raises(BundleError, match=r"bundle has no 'int8' variant; it has: fp32"):
            bundle.model_file("int8")

    def test_a_newer_lossrank_may_have_written_more(self, bundle: ModelBundle) -> None:
        edit(bundle, something_new=1, variants={"fp32": {"file": "model.onnx", "something_new": {"a": [1]}}})
        assert ModelBundle.load(bundle.path) == bundle

    def test_bundles_of_older_versions_lack_values(self, bundle: ModelBundle) -> None:
        parity = PARITY.to_dict()
        del parity["mean_loss_difference"]
        edit(bundle, token_parameters=..., variants={"fp32": {"file": "model.onnx", "parity": parity}})
        loaded = ModelBundle.load(bundle.path)
        assert loaded.token_parameters is None
        assert loaded.parity().to_dict() == parity
        assert loaded.variants["fp32"].graph is UNSET

    def test_the_bytes_of_its_file(self, tmp_path: Path) -> None:
        shutil.copytree(BUNDLE, tmp_path / "demo")
        written = (tmp_path / "demo" / "bundle.json").read_bytes()
        ModelBundle.load(tmp_path / "demo").save()
        assert (tmp_path / "demo" / "bundle.json").read_bytes() == written

    def test_a_variant_without_parity(self, bundle: ModelBundle) -> None:
        with pytest.raises(BundleError, match=r"parity .*'fp32' .*export the model again"):
            bundle.parity()
        with pytest.raises(BundleError, match=r"'int8' .*: fp32; .*`precision`"):
            bundle.parity("int8")


class TestSha256:
    @pytest.mark.parametrize(
        "change",
        [
            {"class_names": (*CLASSES[:2], CLASSES[3], CLASSES[2])},
            {"max_tokens": MAX_TOKENS - 1},
            {"pad_id": 1},
            {"input_names": ("input_ids", "attention_mask", "token_type_ids")},
            {"files": {"model.onnx": "0" * 64, "tokenizer.json": "1" * 64}},
        ],
    )
    def test_changes_with_what_scores_depend_on(self, tiny_bundle: ModelBundle, change: dict[str, Any]) -> None:
        assert replace(tiny_bundle, **change).sha256 != tiny_bundle.sha256

    @pytest.mark.parametrize(
        "change",
        [
            {"path": Path("elsewhere")},
            {"model": "other/name"},
            {"revision": "abc"},
            {"versions": {"torch": "9"}},
            {"variants": {"fp32": Variant(file="model.onnx", parity=PARITY)}},
        ],
    )
    def test_does_not_change_with_the_rest(self, tiny_bundle: ModelBundle, change: dict[str, Any]) -> None:
        assert replace(tiny_bundle, **change).sha256 == tiny_bundle.sha256

    def test_is_the_same_for_the_same_model_made_twice(self, tiny_bundle: ModelBundle, tmp_path: Path) -> None:
        assert make_bundle(tmp_path / "again").sha256 == tiny_bundle.sha256


class TestNotABundle:
    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(
            BundleError, match=r"nowhere does not exist; a bundle is the directory that `lossrank export MODEL"
        ):
            ModelBundle.load(tmp_path / "nowhere")

    def test_a_file(self, bundle: ModelBundle) -> None:
        with pytest.raises(BundleError, match=r"model\.onnx is a file; a bundle is the directory"):
            ModelBundle.load(bundle.model_file())

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(
            BundleError, match=r"is not a bundle \(no bundle\.json in it; run `lossrank export MODEL BUNDLE`\)"
        ):
            ModelBundle.load(tmp_path)

    def test_a_hugging_face_model(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text("{}")
        with pytest.raises(BundleError, match=r"Hugging Face model.*`lossrank export MODEL BUNDLE`"):
            ModelBundle.load(tmp_path)


class TestChanged:
    @pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
    def test_a_changed_file(self, bundle: ModelBundle, name: str) -> None:
        content = bytearray((bundle.path / name).read_bytes())
        content[-1] ^= 1
        (bundle.path / name).write_bytes(content)
        with pytest.raises(BundleError) as caught:
            ModelBundle.load(bundle.path)
        message = str(caught.value)
        assert f"{bundle.path / name} has changed since the export" in message
        assert f"SHA-256 {file_sha256(bundle.path / name)[:12]}..., expected {bundle.files[name][:12]}..." in message
        assert "restore it or export the model again" in message

    @pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
    def test_a_missing_file(self, bundle: ModelBundle, name: str) -> None:
        (bundle.path / name).unlink()
        with pytest.raises(BundleError, match=rf"{name} is missing from the bundle; export the model again"):
            ModelBundle.load(bundle.path)

    @pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
    def test_a_file_without_a_hash(self, bundle: ModelBundle, name: str) -> None:
        edit(bundle, files={key: value for key, value in bundle.files.items() if key != name})
        with pytest.raises(BundleError, match=rf"bundle\.json does not list {name}; export the model again"):
            ModelBundle.load(bundle.path)

    @pytest.mark.parametrize("name", ["/etc/hostname", "../outside", "a/../../outside"])
    def test_a_file_outside(self, bundle: ModelBundle, name: str) -> None:
        (bundle.path.parent / "outside").write_text("x")
        edit(bundle, files=bundle.files | {name: "0" * 64})
        with pytest.raises(BundleError, match=rf"lists '{name}', which is outside the bundle"):
            ModelBundle.load(bundle.path)
