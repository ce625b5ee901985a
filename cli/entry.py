"""Where the installed command starts: a Ctrl-C while Python is still importing is a Ctrl-C too."""

import sys

INTERRUPTED = 130  # exit code


def main() -> None:
    """Run the `lossrank` command."""
    try:
        from cli.main import run

        run()
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        sys.exit(INTERRUPTED)
