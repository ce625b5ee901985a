"""``python -m lossrank`` and the installed command."""

from cli.entry import main

if __name__ == "__main__":
    main()
