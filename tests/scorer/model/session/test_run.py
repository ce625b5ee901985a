"""session: the device that was asked for or an error, the inputs that the graph has, the cores that there are."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from scorer import BundleError, ModelBundle
from scorer.machine import _cgroup_cores, available_cores
from scorer.model.buckets import Bucket, make_buckets
from scorer.model.session import OrtSession
from scorer.model.tokenizer import BundleTokenizer
from tests.support.facts import facts
from tests.support.tiny import expected_logits, make_texts


def bucket_of(*, type_ids: bool = True) -> Bucket:
    ids = np.array([[1, 2, 3], [4, 5, 0]], dtype=np.int64)
    mask = np.array([[1, 1, 1], [1, 1, 0]], dtype=np.int64)
    return Bucket(np.array([0, 1]), ids, mask, np.array([[0, 0, 1], [0, 1, 0]], dtype=np.int64) if type_ids else None)


def write_sum(path: Path, inputs: dict[str, int], output: int = TensorProto.FLOAT) -> Path:
    """Write a graph whose logits [b, t] are the sum of its inputs, each times ten to its place."""
    nodes, terms = [], []
    for place, name in enumerate(inputs):
        nodes += [
            helper.make_node("Cast", [name], [f"{name}_float"], to=TensorProto.FLOAT),
            helper.make_node("Constant", [], [f"{name}_factor"], value_float=10.0**place),
            helper.make_node("Mul", [f"{name}_float", f"{name}_factor"], [f"{name}_term"]),
        ]
        terms.append(f"{name}_term")
    nodes += [
        helper.make_node("Sum", terms, ["total"]),
        helper.make_node("Cast", ["total"], ["logits"], to=output),
    ]
    graph = helper.make_graph(
        nodes,
        "sum",
        [helper.make_tensor_value_info(name, kind, ["b", "t"]) for name, kind in inputs.items()],
        [helper.make_tensor_value_info("logits", output, ["b", "t"])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


class TestRun:
    def test_logits_of_a_real_graph(self, tiny_bundle: ModelBundle) -> None:
        texts = make_texts(50)
        session = OrtSession(tiny_bundle.model_file(), "cpu")
        logits = np.full((50, 4), np.nan, dtype=np.float32)
        for bucket in make_buckets(BundleTokenizer(tiny_bundle).tokenise(texts), 64, tiny_bundle.pad_id):
            logits[bucket.row] = session.run(bucket)
        assert np.allclose(logits, [expected_logits(text) for text in texts], atol=1e-4)

    @pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.INT32])
    def test_only_the_inputs_that_the_graph_has_are_fed_and_in_its_type(self, tmp_path: Path, kind: int) -> None:
        bucket = bucket_of()
        ids_only = OrtSession(write_sum(tmp_path / "a.onnx", {"input_ids": kind}), "cpu")
        assert ids_only.run(bucket).tolist() == [[1, 2, 3], [4, 5, 0]]
        two = OrtSession(write_sum(tmp_path / "b.onnx", {"attention_mask": kind, "input_ids": kind}), "cpu")
        assert two.run(bucket).tolist() == [[11, 21, 31], [41, 51, 0]]
        every = {"input_ids": kind, "attention_mask": kind, "token_type_ids": kind}
        three = OrtSession(write_sum(tmp_path / "c.onnx", every), "cpu")
        assert three.run(bucket).tolist() == [[11, 12, 113], [14, 115, 0]]

    def test_type_ids_are_zeros_where_the_texts_need_none(self, tmp_path: Path) -> None:
        inputs = {"input_ids": TensorProto.INT64, "token_type_ids": TensorProto.INT32}
        session = OrtSession(write_sum(tmp_path / "a.onnx", inputs), "cpu")
        assert session.run(bucket_of(type_ids=False)).tolist() == [[1, 2, 3], [4, 5, 0]]

    def test_half_precision_logits_come_back_as_float32(self, tmp_path: Path) -> None:
        session = OrtSession(
            write_sum(tmp_path / "a.onnx", {"input_ids": TensorProto.INT64}, TensorProto.FLOAT16), "cpu"
        )
        logits = session.run(bucket_of())
        assert logits.dtype == np.float32
        assert logits.tolist() == [[1, 2, 3], [4, 5, 0]]

    def test_the_thread_count_changes_no_number(self, tiny_bundle: ModelBundle) -> None:
        (bucket,) = make_buckets(BundleTokenizer(tiny_bundle).tokenise(make_texts(30)), 10_000, tiny_bundle.pad_id)
        one, two = (OrtSession(tiny_bundle.model_file(), "cpu", threads) for threads in (1, 2))
        assert (one.threads, two.threads) == (1, 2)
        assert np.array_equal(one.run(bucket), two.run(bucket))


class TestBrokenModel:
    @pytest.mark.parametrize("content", [b"", b"not a graph", b"\x00" * 1000])
    def test_that_cannot_be_loaded(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "model.onnx").write_bytes(content)
        with pytest.raises(BundleError, match=r"model\.onnx can't be loaded by onnxruntime \(.+\)") as caught:
            OrtSession(tmp_path / "model.onnx", "cpu")
        assert "\n" not in str(caught.value)

    def test_that_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match=r"model\.onnx can't be loaded by onnxruntime \(.*(doesn't|not) exist"):
            OrtSession(tmp_path / "model.onnx", "cpu")

    def test_that_needs_an_input_that_nobody_has(self, tmp_path: Path) -> None:
        inputs = dict.fromkeys(["input_ids", "position_ids", "bbox"], TensorProto.INT64)
        with pytest.raises(
            BundleError,
            match=facts("model.onnx", "bbox, position_ids", "input_ids, attention_mask, token_type_ids"),
        ):
            OrtSession(write_sum(tmp_path / "model.onnx", inputs), "cpu")


class TestCores:
    @staticmethod
    def cgroup(root: Path, membership: str, files: dict[str, str]) -> int | None:
        for name, content in files.items():
            (root / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
            (root / "fs" / name).write_text(content + "\n")
        (root / "membership").write_text(membership + "\n")
        return _cgroup_cores(root / "fs", root / "membership")

    @pytest.mark.parametrize(
        ("quota", "cores"),
        [
            ("200000 100000", 2),
            ("150000 100000", 2),
            ("120000 100000", 1),
            ("10000 100000", 1),
            ("1600000 100000", 16),
            ("50000 25000", 2),
            ("max 100000", None),
            ("nonsense", None),
        ],
    )
    def test_version_2_in_a_container(self, tmp_path: Path, quota: str, cores: int | None) -> None:
        assert self.cgroup(tmp_path, "0::/", {"cpu.max": quota}) == cores

    def test_version_2_the_smallest_on_the_path_counts(self, tmp_path: Path) -> None:
        files = {
            "a.slice/cpu.max": "200000 100000",
            "a.slice/b.scope/cpu.max": "max 100000",
            "cpu.max": "800000 100000",
        }
        assert self.cgroup(tmp_path, "0::/a.slice/b.scope", files) == 2

    def test_version_2_another_group_does_not(self, tmp_path: Path) -> None:
        assert self.cgroup(tmp_path, "0::/a", {"a/cpu.max": "max 100000", "b/cpu.max": "100000 100000"}) is None

    @pytest.mark.parametrize(("quota", "cores"), [("400000", 4), ("-1", None), ("0", None)])
    def test_version_1(self, tmp_path: Path, quota: str, cores: int | None) -> None:
        files = {"cpu/docker/x/cpu.cfs_quota_us": quota, "cpu/docker/x/cpu.cfs_period_us": "100000"}
        membership = "12:pids:/docker/x\n4:cpu,cpuacct:/docker/x\n1:name=systemd:/docker/x"
        assert self.cgroup(tmp_path, membership, files) == cores

    def test_version_1_in_a_container_that_sees_its_own_group_as_the_root(self, tmp_path: Path) -> None:
        files = {"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}
        assert self.cgroup(tmp_path, "4:cpuacct,cpu:/docker/not-visible", files) == 3

    def test_both_versions_at_once(self, tmp_path: Path) -> None:
        files = {"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000", "cpu.max": "200000 100000"}
        assert self.cgroup(tmp_path, "4:cpu:/\n0::/", files) == 2

    def test_no_cgroup(self, tmp_path: Path) -> None:
        assert _cgroup_cores(tmp_path, tmp_path / "nothing") is None
        assert self.cgroup(tmp_path, "0::/a/b", {}) is None

    @pytest.mark.parametrize(
        ("affinity", "quota", "cores"),
        [({0, 1, 5}, None, 3), ({0, 1, 5}, 2, 2), ({0}, 8, 1), (set(range(64)), 48, 48)],
    )
    def test_the_smaller_of_affinity_and_quota(
        self, monkeypatch: pytest.MonkeyPatch, affinity: set[int], quota: int | None, cores: int
    ) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: affinity)
        monkeypatch.setattr("scorer.machine._cgroup_cores", lambda *_: quota)
        assert available_cores() == cores

    def test_without_affinity(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(os, "sched_getaffinity")
        monkeypatch.setattr("scorer.machine._cgroup_cores", lambda *_: None)
        monkeypatch.setattr(os, "cpu_count", lambda: 7)
        assert available_cores() == 7
        monkeypatch.setattr(os, "cpu_count", lambda: None)
        assert available_cores() == 1
