"""bundle_manifest: a bundle.json that is damaged is refused, and the fault is named."""

import contextlib
import json
import shutil

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cli.commands.demo import BUNDLE
from scorer import BundleError, ModelBundle
from scorer.model.bundle_manifest import FORMAT, BundleManifest
from scorer.typed_json import fault_in
from tests.scorer.model.helpers import edit

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def test_a_newer_format(bundle: ModelBundle) -> None:
    edit(bundle, format=FORMAT + 1, class_names=...)
    with pytest.raises(
        BundleError,
        match=rf"is a bundle of format {FORMAT + 1}; .* up to {FORMAT}; run `pip install -U lossrank`",
    ):
        ModelBundle.load(bundle.path)


@pytest.mark.parametrize("value", [..., None, 0, -1, "1", 1.5, [1], True])
def test_no_format(bundle: ModelBundle, value: object) -> None:
    edit(bundle, format=value)
    shown = None if value is ... else value
    with pytest.raises(BundleError, match=r"bundle\.json has format .* from 1 to 1; export the model again") as caught:
        ModelBundle.load(bundle.path)
    assert f"has format {shown!r}," in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": 1', b"\xff\xfe", b"not json"])
def test_damaged_json(bundle: ModelBundle, content: bytes) -> None:
    (bundle.path / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"bundle\.json can't be read \(.+\); export the model again"):
        ModelBundle.load(bundle.path)


def test_a_folder_in_its_place(bundle: ModelBundle) -> None:
    (bundle.path / "bundle.json").unlink()
    (bundle.path / "bundle.json").mkdir()
    with pytest.raises(BundleError, match=r"bundle\.json can't be read \(.*directory.*\)"):
        ModelBundle.load(bundle.path)


def test_class_names_that_labels_can_not_be_told_apart_by(bundle: ModelBundle) -> None:
    edit(bundle, class_names=["World", "us", "Sports", "US "])
    with pytest.raises(BundleError, match=r"'us', 'US '; rename them in"):
        ModelBundle.load(bundle.path)


@pytest.mark.parametrize("content", ["[]", "null", '"bundle"', "1"])
def test_no_object(bundle: ModelBundle, content: str) -> None:
    (bundle.path / "bundle.json").write_text(content)
    with pytest.raises(BundleError, match=r"bundle\.json is damaged: .* JSON object; export the model again"):
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
        ("input_names", "input_ids"),
        ("max_tokens", "many"),
        ("max_tokens", None),
        ("max_tokens", 0),
        ("pad_id", [0]),
        ("model", None),
        ("files", "model.onnx"),
    ],
)
def test_a_damaged_field_and_its_value_are_named(bundle: ModelBundle, field: str, value: object) -> None:
    edit(bundle, **{field: value})
    with pytest.raises(BundleError) as caught:
        ModelBundle.load(bundle.path)
    message = str(caught.value)
    shown = "missing" if value is ... else json.dumps(value)
    assert f"{bundle.path / 'bundle.json'} is damaged: {field} is {shown}" in message
    assert message.endswith("; export the model again")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"class_names": ["a", 2]}, "class_names[1] is 2: expected `str`"),
        ({"variants": {"a": {"file": "model.onnx"}, "fp32": {}}}, "variants['fp32'].file is missing"),
        ({"variants": {"fp32": "model.onnx"}}, "variants['fp32'] is \"model.onnx\": expected `object`"),
        ({"variants": {"a": {"file": "b"}, "fp32": {"file": 1}}}, "variants['fp32'].file is 1: expected `str`"),
        ({"variants": {"x.y": {"file": "b", "parity": {}}}}, "variants['x.y'].parity.texts is missing"),
        ({"files": {"model.onnx": "0", "tokenizer.json": None}}, "files['tokenizer.json'] is null: expected `str`"),
        ({"versions": {"torch": [2, 6], "onnx": {}}}, "versions['torch'] is [2, 6]: expected `str`"),
        ({"model": ["long text"] * 40}, '"long text", "long text'),
    ],
)
def test_a_value_within_a_field_is_named_with_its_key(
    bundle: ModelBundle, fields: dict[str, object], named: str
) -> None:
    edit(bundle, **fields)
    with pytest.raises(BundleError) as caught:
        ModelBundle.load(bundle.path)
    assert named in str(caught.value)
    assert len(str(caught.value)) < len(str(bundle.path)) + 200


@settings(max_examples=150, deadline=None)
@given(st.data(), JSON)
def test_whatever_a_value_within_is_the_fault_is_named(data: st.DataObject, value: object) -> None:
    document = json.loads((BUNDLE / "bundle.json").read_text())
    places = [(document, key) for key in document]
    for field in ("class_names", "variants", "versions", "files"):
        inner = document[field]
        places += [(inner, key) for key in (range(len(inner)) if isinstance(inner, list) else inner)]
    places += [(document["variants"]["fp32"], key) for key in document["variants"]["fp32"]]
    parity = document["variants"]["fp32"]["parity"]
    container, key = data.draw(st.sampled_from([*places, *((parity, key) for key in parity)]))
    container[key] = value
    try:
        msgspec.convert(document, BundleManifest)
    except msgspec.ValidationError as error:
        path, clause = fault_in(document, BundleManifest, error)
        assert repr(key) in path or str(key) in path
        assert clause.startswith(f"{path} is ")


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(["format", "class_names", "max_tokens", "input_names", "pad_id", "variants", "versions", "files"]),
    JSON,
)
def test_whatever_a_field_holds_the_error_is_one_of_ours(
    tmp_path_factory: pytest.TempPathFactory, tiny_bundle: ModelBundle, field: str, value: object
) -> None:
    folder = tmp_path_factory.mktemp("fuzz") / "bundle"
    shutil.copytree(tiny_bundle.path, folder)
    edit(replace(tiny_bundle, path=folder), **{field: value})
    with contextlib.suppress(BundleError):
        loaded = ModelBundle.load(folder)
        assert loaded.model_file().is_file()
        assert all(isinstance(name, str) for name in (*loaded.class_names, *loaded.input_names))
        assert isinstance(loaded.max_tokens, int)
