"""Write docs/cli.md from the commands themselves: python docs/make_cli.py."""

from pathlib import Path
from typing import Any

import click

from cli.main import COMMANDS, load_command, run

TARGET = Path(__file__).parent / "cli.md"


def reference() -> str:
    """Return the whole page: the group's help and every command's."""
    settings: dict[str, Any] = {**run.context_settings, "max_content_width": 100, "terminal_width": 100}
    context = click.Context(run, info_name="lossrank", **settings)
    parts = [
        "# Commands\n\nMade from `lossrank --help` by `make docs`; don't edit.\n",
        _block("lossrank", run, context),
    ]
    for name in COMMANDS:
        command = load_command(name)
        child = click.Context(command, info_name=name, parent=context, **settings)
        parts.append(_block(f"lossrank {name}", command, child))
    parts.append(
        "## Exit codes\n\n| code | meaning |\n|---|---|\n| 0 | done |\n| 1 | an error; its message says what to do |\n"
        "| 2 | wrong usage |\n| 3 | done, but for some rows, each of which was reported |\n"
        "| 130 | stopped by Ctrl-C |\n"
    )
    return "\n".join(parts)


def _block(title: str, command: click.Command, context: click.Context) -> str:
    return f"## {title}\n\n```text\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
