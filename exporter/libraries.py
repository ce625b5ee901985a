"""Import torch and transformers only for an export, and keep what they print off the terminal."""

import errno
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from exporter.errors import ConversionError, MissingExtraError
from exporter.own_thread import LogHandler, OwnThread, Stream, showing
from scorer.errors import LossrankError
from scorer.machine import installed_versions
from scorer.model.session import import_onnxruntime
from scorer.text import one_line

_NEEDED = ("torch", "transformers", "onnx", "huggingface_hub", "safetensors")
_LOGGERS = (
    *("huggingface_hub", "onnx", "onnx_ir", "onnxruntime", "onnxscript", "optimum"),
    *("py.warnings", "torch", "transformers"),
)
_DISTRIBUTIONS = ("lossrank", "torch", "transformers", "optimum", "optimum-onnx", "onnx", "onnxscript", "tokenizers")


def require(needed: tuple[str, ...] = _NEEDED) -> None:
    """Import the libraries that an export needs.

    Call this outside ``captured``: on import the libraries bind their log handlers to the current stderr.

    Raises:
        MissingExtraError: a library of the ``export`` extra is missing or does not load.
        DeviceError: onnxruntime, which measures parity, is missing or installed twice.
    """
    import_onnxruntime()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in needed:
            try:
                import_module(name)
            except ImportError as error:
                raise MissingExtraError(
                    f"exporting needs {name.partition('.')[0]}, which is not installed or does not load ({error}); run "
                    "`pip install 'lossrank[export]'` (scoring an exported bundle does not need it)"
                ) from error


def in_float32() -> dict[str, Any]:
    """Return the argument of ``from_pretrained`` by which weights are loaded in float32; 4.56 gave it another name."""
    import torch
    import transformers

    version = tuple(int(part) for part in transformers.__version__.split(".")[:2])
    return {"dtype" if version >= (4, 56) else "torch_dtype": torch.float32}


def versions() -> dict[str, str]:
    """Return the versions of the libraries that made the bundle."""
    found = installed_versions(_DISTRIBUTIONS)
    found["onnxruntime"] = str(import_onnxruntime().__version__)
    return dict(sorted(found.items()))


@contextmanager
def captured(doing: str) -> Iterator[None]:
    """Keep the output, warnings and logs of libraries off the terminal; after a failure the error's ``log`` has them.

    What other threads of the process print, warn and log goes where it went before.

    Raises:
        ConversionError: a library raised an error; errors of lossrank and of the file system pass unchanged.
    """
    log = io.StringIO()
    own = OwnThread(_LOGGERS)
    loggers = _loggers()
    before = [(logger.handlers, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [LogHandler(own, log, logger)], False
    streams = {name: Stream(own, log, getattr(sys, name)) for name in ("stdout", "stderr")}
    others = {name: getattr(sys, name) for name in streams}
    for name, stream in streams.items():
        setattr(sys, name, stream)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = showing(own, log, warnings.showwarning)
            # Each warning is recorded once per line of code: tracing a model repeats it for every layer.
            warnings.filterwarnings("default")
            first = warnings.filters[0]
            warnings.filters[0] = (first[0], own, *first[2:])  # type: ignore[index]
            yield
    except LossrankError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the caller reports file system errors; transformers' own OSErrors have no errno
        raise ConversionError(f"{doing} failed: {one_line(error)}", log.getvalue()) from error
    finally:
        own.ended = True
        for name, stream in streams.items():
            if getattr(sys, name) is stream:
                setattr(sys, name, others[name])
        for logger, (handlers, propagate) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate


def _loggers() -> list[logging.Logger]:
    """Return the libraries' loggers, and those below them that have handlers of their own, as several of torch's do."""
    below = [
        logger
        for name, logger in list(logging.root.manager.loggerDict.items())
        if isinstance(logger, logging.Logger) and logger.handlers and name.partition(".")[0] in _LOGGERS
    ]
    return list({logger.name: logger for logger in (*map(logging.getLogger, _LOGGERS), *below)}.values())


def is_disk_full(error: BaseException | None) -> bool:
    """Return whether a full disk or quota caused the error; not every library raises OSError for it."""
    seen = set()  # torch's errors may name each other as their causes
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or os.strerror(errno.ENOSPC) in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
