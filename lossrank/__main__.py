"""Run the command line, for ``python -m lossrank`` and the installed `lossrank` command."""

from cli.entry import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
