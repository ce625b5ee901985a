"""session: the device that was asked for or an error, the inputs that the graph has, the cores that there are."""

import builtins
import signal
import sys
from collections.abc import Callable
from importlib import metadata
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest

from cli.signals import Terminated
from scorer import DeviceError, ModelBundle
from scorer.machine import available_cores
from scorer.model.buckets import make_buckets
from scorer.model.session import OrtSession, import_onnxruntime
from scorer.model.tokenizer import BundleTokenizer
from tests.support.facts import facts

HAS_CUDA = "CUDAExecutionProvider" in onnxruntime.get_available_providers()


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
        with pytest.raises(DeviceError, match=facts("`device`", f"'{device}'", "auto", "cpu", "cuda")):
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
