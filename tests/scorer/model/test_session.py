"""session: the device that was asked for or an error, the inputs that the graph has, the cores that there are."""

import builtins
import os
import signal
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from cli.signals import Terminated
from scorer import BundleError, DeviceError, ModelBundle
from scorer.machine import _cgroup_cores, available_cores
from scorer.model.buckets import Bucket, make_buckets
from scorer.model.session import OrtSession, import_onnxruntime
from scorer.model.tokenizer import BundleTokenizer
from tests.support.facts import facts
from tests.support.tiny import expected_logits, make_texts

HAS_CUDA = "CUDAExecutionProvider" in onnxruntime.get_available_providers()


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
            match=r"needs the inputs bbox, position_ids, which are not among those that scoring feeds: input_ids, "
            "attention_mask, token_type_ids; export the model again",
        ):
            OrtSession(write_sum(tmp_path / "model.onnx", inputs), "cpu")


class FakeOrt:
    """An onnxruntime that says it has CUDA; what becomes of its sessions is up to the test."""

    def __init__(self, starts_on: list[str] | Exception, *, preload: bool = True) -> None:
        self.opened: list[Any] = []
        self.preloaded = 0
        self.starts_on = starts_on
        self.SessionOptions = onnxruntime.SessionOptions
        if preload:
            self.preload_dlls = self._preload

    def _preload(self) -> None:
        self.preloaded += 1

    def get_available_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def InferenceSession(self, file: str, options: object, providers: list[Any], disabled_optimizers: list[str]) -> Any:
        assert bool(disabled_optimizers) == (providers == ["CPUExecutionProvider"])
        self.opened.append(providers)
        if providers == ["CPUExecutionProvider"]:
            return onnxruntime.InferenceSession(file, options, providers=providers)
        if isinstance(self.starts_on, Exception):
            raise self.starts_on
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        names = self.starts_on
        return type(
            "Started",
            (),
            {
                "get_providers": lambda _: names,
                "get_inputs": lambda _: session.get_inputs(),
                "get_outputs": lambda _: session.get_outputs(),
            },
        )()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeOrt]:
    def use(*args: Any, **kwargs: Any) -> FakeOrt:
        ort = FakeOrt(*args, **kwargs)
        monkeypatch.setattr("scorer.model.session.import_onnxruntime", lambda: ort)
        return ort

    return use


class TestDevice:
    @pytest.mark.parametrize("device", ["gpu", "CUDA", "", "cuda:1"])
    def test_an_unknown_device(self, tiny_bundle: ModelBundle, device: str) -> None:
        with pytest.raises(DeviceError, match=f"device is '{device}'; it must be one of: auto, cpu, cuda"):
            OrtSession(tiny_bundle.model_file(), device)

    def test_cpu(self, tiny_bundle: ModelBundle) -> None:
        session = OrtSession(tiny_bundle.model_file(), "cpu")
        assert (session.device, session.why) == ("cpu", "asked for")
        assert session.providers == ["CPUExecutionProvider"]
        assert session.threads == available_cores()

    @pytest.mark.skipif(HAS_CUDA, reason="this onnxruntime has CUDA")
    def test_cuda_that_this_onnxruntime_has_not(self, tiny_bundle: ModelBundle) -> None:
        with pytest.raises(
            DeviceError,
            match=facts("CPUExecutionProvider", "`pip install 'lossrank[gpu]'`", "`device='cpu'`"),
        ):
            OrtSession(tiny_bundle.model_file(), "cuda")

    @pytest.mark.skipif(HAS_CUDA, reason="this onnxruntime has CUDA")
    def test_auto_without_cuda(self, tiny_bundle: ModelBundle) -> None:
        session = OrtSession(tiny_bundle.model_file())
        assert (session.device, session.why) == ("cpu", "this onnxruntime has no CUDA")

    @pytest.mark.parametrize("device", ["auto", "cuda"])
    def test_cuda_that_starts(self, tiny_bundle: ModelBundle, fake: Callable[..., FakeOrt], device: str) -> None:
        ort = fake(["CUDAExecutionProvider", "CPUExecutionProvider"])
        session = OrtSession(tiny_bundle.model_file(), device)
        assert session.device == "cuda"
        assert session.providers[0] == "CUDAExecutionProvider"
        assert session.why == ("asked for" if device == "cuda" else "this onnxruntime has CUDA and a GPU answered")
        assert ort.opened == [[("CUDAExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"})]]
        assert ort.preloaded == 1

    def test_cuda_that_onnxruntime_quietly_leaves_for_the_cpu(
        self, tiny_bundle: ModelBundle, fake: Callable[..., FakeOrt]
    ) -> None:
        fake(["CPUExecutionProvider"])
        with pytest.raises(
            DeviceError,
            match=facts("device cuda", "CPUExecutionProvider", "`device='cpu'`", "cuDNN"),
        ):
            OrtSession(tiny_bundle.model_file(), "cuda")

    def test_cuda_that_cannot_start(self, tiny_bundle: ModelBundle, fake: Callable[..., FakeOrt]) -> None:
        fake(RuntimeError("CUDA failure 100: no CUDA-capable device\nsecond line"), preload=False)
        with pytest.raises(
            DeviceError,
            match=facts("device cuda", "(CUDA failure 100: no CUDA-capable device)", "`device='cpu'`"),
        ):
            OrtSession(tiny_bundle.model_file(), "cuda")

    @pytest.mark.parametrize("outcome", [["CPUExecutionProvider"], RuntimeError("no CUDA-capable device")])
    def test_auto_goes_on_with_the_cpu_and_says_why(
        self, tiny_bundle: ModelBundle, fake: Callable[..., FakeOrt], outcome: list[str] | Exception
    ) -> None:
        ort = fake(outcome)
        session = OrtSession(tiny_bundle.model_file(), "auto")
        assert (session.device, session.providers) == ("cpu", ["CPUExecutionProvider"])
        assert "device cuda" in session.why
        assert ort.opened[-1] == ["CPUExecutionProvider"]
        assert session.run(next(make_buckets(BundleTokenizer(tiny_bundle).tokenise(["w1"]), 8, 0))).shape == (1, 4)


class TestWheels:
    @staticmethod
    def install(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
        def distribution(name: str) -> SimpleNamespace:
            if name in names:
                return SimpleNamespace(version="1.0")
            raise metadata.PackageNotFoundError(name)

        monkeypatch.setattr(metadata, "distribution", distribution)

    @staticmethod
    def break_import(monkeypatch: pytest.MonkeyPatch, message: str) -> None:
        original = builtins.__import__

        def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
            if name == "onnxruntime":
                raise ImportError(message)
            return original(name, *args, **kwargs)

        monkeypatch.delitem(sys.modules, "onnxruntime")
        monkeypatch.setattr(builtins, "__import__", refuse)

    @pytest.mark.parametrize("name", ["onnxruntime", "onnxruntime-gpu"])
    def test_one(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.install(monkeypatch, name)
        assert import_onnxruntime() is onnxruntime

    def test_one_built_from_source_or_of_another_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.install(monkeypatch)
        assert import_onnxruntime() is onnxruntime

    def test_neither(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.install(monkeypatch)
        self.break_import(monkeypatch, "No module named 'onnxruntime'")
        with pytest.raises(
            DeviceError,
            match=r"onnxruntime is not installed; run `pip install 'lossrank\[cpu\]'`, or "
            r"`pip install 'lossrank\[gpu\]'` on a machine with an NVIDIA GPU",
        ):
            import_onnxruntime()

    def test_both(self, monkeypatch: pytest.MonkeyPatch, tiny_bundle: ModelBundle) -> None:
        self.install(monkeypatch, "onnxruntime", "onnxruntime-gpu")
        with pytest.raises(
            DeviceError,
            match=r"both installed and overwrite each other; run `pip uninstall -y onnxruntime onnxruntime-gpu`, then "
            r"`pip install 'lossrank\[cpu\]'` or `pip install 'lossrank\[gpu\]'`",
        ):
            OrtSession(tiny_bundle.model_file(), "cpu")

    def test_a_signal_in_the_middle_of_it_is_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As native code puts it: an ImportError that the signal is the cause of."""
        self.install(monkeypatch, "onnxruntime")
        imported = builtins.__import__

        def stopped(name: str, *arguments: Any, **named: Any) -> Any:
            if name == "onnxruntime":
                raise ImportError("initialization failed") from Terminated(signal.SIGHUP)
            return imported(name, *arguments, **named)

        monkeypatch.setattr(builtins, "__import__", stopped)
        with pytest.raises(Terminated):
            import_onnxruntime()

    def test_one_that_does_not_load(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.install(monkeypatch, "onnxruntime-gpu")
        self.break_import(monkeypatch, "libcudart.so.13: cannot open shared object file")
        with pytest.raises(DeviceError, match=r"onnxruntime-gpu is installed but does not load \(libcudart\.so\.13"):
            import_onnxruntime()


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
