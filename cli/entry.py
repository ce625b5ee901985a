"""Start the command; Ctrl-C, SIGTERM and SIGHUP are handled from the start, even while modules are imported."""

import contextlib
import os
import sys
import threading

from cli.signals import exit_code, ignore_signals, stop_on_signals

# Names of a run's threads. scorer.pipeline.prefetch and scorer.pipeline.score set them, but are slow to import.
_THREADS = ("tokenise", "model")


def _leave_behind(code: str | int | None) -> None:
    """End the process at once if a thread of a run is still in native code.

    A read of remote data may block for minutes, and after a second Ctrl-C the model may still be running. If such a
    thread returned while Python shuts down, Python would abort.
    """
    if isinstance(code, int) and any(thread.name.startswith(_THREADS) for thread in threading.enumerate()):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def main() -> None:
    """Run the `lossrank` command."""
    code: str | int | None = 0
    try:
        stop_on_signals()
        if "bench" not in sys.argv[1:2]:
            # numpy starts a thread per core, which takes 0.2 s of CPU time. Only `bench` multiplies matrices: it
            # measures the speed of all cores.
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        from cli.main import run

        run(prog_name="lossrank")
    except KeyboardInterrupt as error:  # while Python was importing
        ignore_signals()
        print("Stopped.", file=sys.stderr)
        code = exit_code(error)
    except SystemExit as end:
        code = end.code
    ignore_signals()
    _leave_behind(code)
    sys.exit(code)
