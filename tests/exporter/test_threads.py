"""An export in a thread leaves the output of other threads alone, and a second export waits for the first."""

import logging
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from exporter import export_model
from exporter.errors import ConversionError
from exporter.libraries import captured
from scorer import ModelBundle
from tests.support.tiny_models import build


def elsewhere(work: Callable[[], None]) -> None:
    """Run ``work`` in a thread that exists while the caller captures, as a user's threads do."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_only_the_exports_own_output_is_captured(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    log = logging.getLogger("transformers.another_thread")

    def others() -> None:
        print("printed elsewhere")
        log.warning("logged elsewhere")

    def fail() -> None:
        elsewhere(others)
        print("printed here")
        log.warning("logged here")
        warnings.warn("warned here", FutureWarning, stacklevel=1)
        raise ValueError("wrong")

    with pytest.raises(ConversionError) as caught:
        captured("converting")(fail)()
    assert capsys.readouterr().out == "printed elsewhere\n"
    assert [record.getMessage() for record in caplog.records] == ["logged elsewhere"]
    assert caught.value.log == "printed here\nlogged here\nFutureWarning: warned here\n"


def test_other_threads_keep_their_own_filters_of_warnings() -> None:
    raised: list[Warning] = []

    def others() -> None:
        try:
            warnings.warn("warned elsewhere", UserWarning, stacklevel=1)  # an error, as in all tests
        except UserWarning as error:
            raised.append(error)

    with captured("converting"):
        elsewhere(others)
        warnings.warn("warned here", UserWarning, stacklevel=1)
    assert [str(error) for error in raised] == ["warned elsewhere"]


def test_a_thread_that_a_library_starts_is_the_exports(capsys: pytest.CaptureFixture[str]) -> None:
    space = {"__name__": "huggingface_hub.file_download", "print": print}
    exec("def download():\n    print('87%')", space)
    with captured("fetching"):
        elsewhere(space["download"])  # type: ignore[arg-type]
    assert capsys.readouterr().out == ""


def test_what_keeps_a_captured_stream_writes_on(capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    with captured("converting"):
        kept = sys.stdout
    kept.write("later")
    assert capsys.readouterr().out == "later"


def test_two_exports_at_once_and_another_threads_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kinds = ("distilbert", "electra")
    folders = {kind: build(kind, tmp_path / kind) for kind in kinds}
    begin, stop, steps = threading.Barrier(2), threading.Event(), {kind: list[str]() for kind in kinds}
    counted: list[int] = []

    def export(kind: str) -> ModelBundle:
        begin.wait(60)
        return export_model(folders[kind], tmp_path / f"{kind} beside", int8=False, progress=steps[kind].append)

    def count() -> None:
        while not stop.wait(0.01):
            print(f"line {len(counted)}")
            counted.append(len(counted))

    counter = threading.Thread(target=count)
    counter.start()
    try:
        with ThreadPoolExecutor(2) as pool:
            beside = dict(zip(kinds, pool.map(export, kinds), strict=True))
    finally:
        stop.set()
        counter.join()
    for kind in kinds:
        assert ModelBundle.load(beside[kind].path).model_type == kind
        assert beside[kind].parity().max_logit_difference < 1e-4
    waited = [kind for kind in kinds if "waiting for another export in this process" in steps[kind]]
    assert len(waited) == 1
    assert len(counted) > 10
    assert capsys.readouterr().out.splitlines() == [f"line {i}" for i in counted]
