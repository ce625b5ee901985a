"""bundle: what was saved loads again, and anything else is refused with what to do."""

import contextlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer import BundleError, ModelBundle
from scorer.files import file_sha256
from scorer.model.bundle import FORMAT
from tests.support.tiny import CLASSES, MAX_TOKENS, make_bundle


@pytest.fixture
def bundle(tiny_bundle: ModelBundle, tmp_path: Path) -> ModelBundle:
    """A copy to spoil."""
    shutil.copytree(tiny_bundle.path, tmp_path / "bundle")
    return ModelBundle.load(tmp_path / "bundle")


def edit(bundle: ModelBundle, **changes: Any) -> None:
    """Change fields of bundle.json; `...` takes one away."""
    file = bundle.path / "bundle.json"
    manifest = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in manifest.items() if value is not ...}))


class TestRoundTrip:
    def test_load_gives_what_was_saved(self, tmp_path: Path) -> None:
        made = make_bundle(tmp_path / "b", ("Économie", "日本", "a/b"))
        full = replace(
            made,
            revision="abc",
            versions={"torch": "2.6"},
            variants={"fp32": {"file": "model.onnx", "parity": {"x": 1e-5}}},
        )
        full.save()
        assert ModelBundle.load(tmp_path / "b") == full
        assert ModelBundle.load(str(tmp_path / "b")) == full
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
        edit(bundle, something_new=1)
        assert ModelBundle.load(bundle.path) == bundle


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
            {"variants": {"fp32": {"file": "model.onnx", "parity": {"logits": 1e-6}}}},
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
        with pytest.raises(
            BundleError, match="it is a Hugging Face model: export it first; run `lossrank export MODEL BUNDLE`"
        ):
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


class TestManifest:
    def test_a_newer_format(self, bundle: ModelBundle) -> None:
        edit(bundle, format=FORMAT + 1, class_names=...)
        with pytest.raises(
            BundleError,
            match=rf"is a bundle of format {FORMAT + 1}; this lossrank reads up to {FORMAT}: "
            "upgrade with pip install -U lossrank",
        ):
            ModelBundle.load(bundle.path)

    @pytest.mark.parametrize("value", [..., None, 0, -1, "1", 1.5, [1]])
    def test_no_format(self, bundle: ModelBundle, value: object) -> None:
        edit(bundle, format=value)
        shown = None if value is ... else value
        with pytest.raises(
            BundleError, match=r"bundle\.json has format .*, not a number from 1 to 1; export again"
        ) as caught:
            ModelBundle.load(bundle.path)
        assert f"has format {shown!r}," in str(caught.value)

    @pytest.mark.parametrize("content", [b"", b"{", b'{"format": 1', b"\xff\xfe", b"not json"])
    def test_damaged_json(self, bundle: ModelBundle, content: bytes) -> None:
        (bundle.path / "bundle.json").write_bytes(content)
        with pytest.raises(BundleError, match=r"bundle\.json can't be read \(.+\); export the model again"):
            ModelBundle.load(bundle.path)

    def test_a_folder_in_its_place(self, bundle: ModelBundle) -> None:
        (bundle.path / "bundle.json").unlink()
        (bundle.path / "bundle.json").mkdir()
        with pytest.raises(BundleError, match=r"bundle\.json can't be read \(.*directory.*\)"):
            ModelBundle.load(bundle.path)

    def test_class_names_that_labels_can_not_be_told_apart_by(self, bundle: ModelBundle) -> None:
        edit(bundle, class_names=["World", "us", "Sports", "US "])
        with pytest.raises(BundleError, match=r"names different classes alike: 'us', 'US '; rename them in"):
            ModelBundle.load(bundle.path)

    @pytest.mark.parametrize("content", ["[]", "null", '"bundle"', "1"])
    def test_no_object(self, bundle: ModelBundle, content: str) -> None:
        (bundle.path / "bundle.json").write_text(content)
        with pytest.raises(BundleError, match=r"bundle\.json is damaged \(not a JSON object\)"):
            ModelBundle.load(bundle.path)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            *(
                (field, ...)
                for field in ("class_names", "max_tokens", "input_names", "pad_id", "model", "variants", "files")
            ),
            ("class_names", "World"),
            ("class_names", []),
            ("class_names", [1, 2]),
            ("input_names", "input_ids"),
            ("max_tokens", "many"),
            ("max_tokens", None),
            ("pad_id", [0]),
            ("variants", {"fp32": {}}),
            ("variants", {"fp32": "model.onnx"}),
            ("variants", {"fp32": {"file": 1}}),
            ("files", {"model.onnx": None, "tokenizer.json": None}),
            ("files", "model.onnx"),
        ],
    )
    def test_damaged_fields(self, bundle: ModelBundle, field: str, value: object) -> None:
        edit(bundle, **{field: value})
        with pytest.raises(BundleError, match=r"bundle\.json .*; export the model again"):
            ModelBundle.load(bundle.path)

    @settings(max_examples=80, deadline=None)
    @given(
        st.sampled_from(
            ["format", "class_names", "max_tokens", "input_names", "pad_id", "variants", "versions", "files"]
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=6,
        ),
    )
    def test_whatever_a_field_holds_the_error_is_one_of_ours(
        self, tmp_path_factory: pytest.TempPathFactory, tiny_bundle: ModelBundle, field: str, value: object
    ) -> None:
        folder = tmp_path_factory.mktemp("fuzz") / "bundle"
        shutil.copytree(tiny_bundle.path, folder)
        edit(replace(tiny_bundle, path=folder), **{field: value})
        with contextlib.suppress(BundleError):
            loaded = ModelBundle.load(folder)
            assert loaded.model_file().is_file()
            assert all(isinstance(name, str) for name in (*loaded.class_names, *loaded.input_names))
            assert isinstance(loaded.max_tokens, int)
