"""OrtSession: run an ONNX classifier in onnxruntime, which returns the logits of one padded batch at a time.

A requested device that is missing is an error, never a silent fall-back: onnxruntime drops a provider that it can't
start and goes on without it (onnxruntime #23372, #17801), so the provider in use is compared with the requested one.
"""

from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from scorer.errors import BundleError, DeviceError, shortage
from scorer.machine import available_cores, is_installed
from scorer.model.buckets import Bucket

DEVICES = ("auto", "cpu", "cuda")
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
# The words of onnxruntime, torch, the C library, the C++ library and CUDA.
_OUT_OF_MEMORY = ("allocate memory", "bad_alloc", "out of memory", "not enough memory")
_SLOWER = ["BiasGeluFusion"]  # on CPUs, separate Add and Gelu take three quarters of the fused time
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class Session(Protocol):
    """A model that runs batches; ``threads`` is how many threads may call ``run`` at once."""

    device: str
    threads: int

    def run(self, bucket: Bucket) -> NDArray[np.float32]:
        """Return the logits [b, C] of a batch; raise MemoryError if the batch is too large."""


class OrtSession:
    """An ONNX classifier in onnxruntime; ``device`` and ``providers`` are those actually in use."""

    def __init__(
        self, model_file: Path, device: str = "auto", threads: int | None = None, precision: str = "fp32"
    ) -> None:
        """Load a graph onto a device; on a CPU ``threads`` batches may run at once, by default one per core.

        Raises:
            DeviceError: onnxruntime is missing or installed twice.
            DeviceError: the device is unknown or missing, or int8 was requested on a GPU.
            BundleError: onnxruntime can't load the graph, or the graph needs inputs that a bucket lacks.
        """
        if device not in DEVICES:
            raise DeviceError(f"`device` is {device!r}; it must be one of: {', '.join(DEVICES)}")
        ort = import_onnxruntime()
        options = ort.SessionOptions()
        options.log_severity_level = 4  # failures come as exceptions
        # Each batch runs on one core, and as many batches run at once as there are threads. That is 10 to 25% faster
        # than one batch on all cores, the weights are shared, and no result depends on the number of threads.
        options.intra_op_num_threads = 1
        self.device, self.why = _choose(ort, device, precision)
        if self.device == "cuda":
            try:
                self._session = _open(ort, model_file, options, "cuda")
            except DeviceError as error:
                if device == "cuda":
                    raise
                self.device, self.why = "cpu", str(error)
        if self.device == "cpu":
            self._session = _open(ort, model_file, options, "cpu")
        self.threads = 1 if self.device == "cuda" else threads or available_cores()
        self.providers: list[str] = self._session.get_providers()
        self._types = {
            node.name: np.int32 if node.type == "tensor(int32)" else np.int64 for node in self._session.get_inputs()
        }
        if unknown := sorted(self._types.keys() - _INPUTS):
            raise BundleError(
                f"{model_file} needs the inputs {', '.join(unknown)}; scoring feeds only {', '.join(_INPUTS)}; export "
                "the model again"
            )
        self._output = self._session.get_outputs()[0].name

    def run(self, bucket: Bucket) -> NDArray[np.float32]:
        """Return the logits [b, C] of a batch, as float32; only the inputs that the graph has are fed.

        Raises:
            MemoryError: the machine or the device has too little memory for the batch.
        """
        feeds = {}
        for name, dtype in self._types.items():
            values = getattr(bucket, name)
            feeds[name] = np.zeros_like(bucket.input_ids, dtype) if values is None else values.astype(dtype, copy=False)
        try:
            (logits,) = self._session.run([self._output], feeds)
        except Exception as error:  # onnxruntime's own exception classes are not exported
            if of_memory(error):
                raise MemoryError(str(error).strip().splitlines()[0]) from error
            raise
        return np.asarray(logits, dtype=np.float32)


def of_memory(error: BaseException | None) -> bool:
    """Return whether too little memory, of the machine or a device, caused a library's error."""
    known = error is not None and shortage(error) is not None
    return known or any(sign in str(error) for sign in _OUT_OF_MEMORY)


def import_onnxruntime() -> ModuleType:
    """Import onnxruntime, whichever of its two wheels is installed.

    Raises:
        DeviceError: neither wheel is installed.
        DeviceError: both wheels are installed; they overwrite each other's files.
        DeviceError: the installed wheel does not load.
    """
    installed = [name for name in ("onnxruntime", "onnxruntime-gpu") if is_installed(name)]
    if len(installed) == 2:
        raise DeviceError(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other; run "
            "`pip uninstall -y onnxruntime onnxruntime-gpu`, then `pip install 'lossrank[cpu]'` or "
            "`pip install 'lossrank[gpu]'`"
        )
    try:
        import onnxruntime
    except ImportError as error:
        if (stopped := _interrupt(error)) is not None:
            raise stopped from None
        if of_memory(error):
            raise MemoryError(f"onnxruntime does not load: {error}") from error
        if installed:
            raise DeviceError(f"{installed[0]} is installed but does not load ({error}); reinstall it") from error
        raise DeviceError(
            "onnxruntime is not installed; run `pip install 'lossrank[cpu]'`, or `pip install 'lossrank[gpu]'` "
            "on a machine with an NVIDIA GPU"
        ) from None
    return onnxruntime  # type: ignore[no-any-return]


def _interrupt(error: BaseException) -> KeyboardInterrupt | None:
    """Return the KeyboardInterrupt that caused an import's error, directly or through native code; None if none did."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__cause__ or cause.__context__
    return cause


def _choose(ort: ModuleType, device: str, precision: str) -> tuple[str, str]:
    """Return the device to try first, and why it was chosen."""
    if precision == "int8":
        if device == "cuda":
            raise DeviceError("int8 is made for CPUs; use `device='cpu'`, or `precision='fp32'` on the GPU")
        return "cpu", "asked for" if device == "cpu" else "int8 is made for CPUs"
    if device != "auto":
        return device, "asked for"
    if _PROVIDERS["cuda"] in ort.get_available_providers():
        return "cuda", "this onnxruntime has CUDA and a GPU answered"
    return "cpu", "this onnxruntime has no CUDA"


def _open(ort: ModuleType, model_file: Path, options: Any, device: str) -> Any:
    """Return a session on the given device; it is an error if onnxruntime would use another."""
    if device == "cuda":
        if _PROVIDERS["cuda"] not in ort.get_available_providers():
            raise DeviceError(
                "device cuda was requested, but the installed onnxruntime has no CUDA "
                f"(it has: {', '.join(ort.get_available_providers())}); run `pip uninstall -y onnxruntime` and "
                "`pip install 'lossrank[gpu]'`, or use `device='cpu'`"
            )
        if hasattr(ort, "preload_dlls"):
            ort.preload_dlls()
        # Batches of a few fixed shapes would need the least memory. As shapes vary, the arena grows only by the size
        # that a batch needs.
        provider: Any = (_PROVIDERS["cuda"], {"arena_extend_strategy": "kSameAsRequested"})
    else:
        provider = _PROVIDERS["cpu"]
    off = _SLOWER if device == "cpu" else []
    try:
        session = ort.InferenceSession(str(model_file), options, providers=[provider], disabled_optimizers=off)
    except Exception as error:  # onnxruntime's own exception classes are not exported
        reason = str(error).strip().splitlines()[0]
        if of_memory(error):
            raise MemoryError(reason) from error
        if device == "cuda":
            raise DeviceError(f"the device cuda could not be started ({reason}); use `device='cpu'`") from error
        raise BundleError(f"{model_file} can't be loaded by onnxruntime ({reason}); export the model again") from error
    if session.get_providers()[0] != _PROVIDERS[device]:
        raise DeviceError(
            f"device {device} was requested, but onnxruntime runs on {', '.join(session.get_providers())}; "
            "use `device='cpu'`, or install the CUDA and cuDNN libraries"
        )
    return session
