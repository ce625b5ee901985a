"""The options of the commands that talk to a review server."""

import click

from cli.options import F
from lossrank.review.servers.server import TOOLS


def server_options(command: F) -> F:
    """Add ``--url``, ``--api-key`` and ``--workspace``; options that are not given have defaults."""
    addresses = "; ".join(f"{tool.variables}_API_URL or {tool.url}" for tool in TOOLS.values())
    keys = ", ".join(f"{tool.variables}_API_KEY" for tool in TOOLS.values())
    workspaces = ", ".join(f"{tool.variables}_WORKSPACE" for tool in TOOLS.values() if tool.workspaces)
    for option in (
        click.option("--workspace", help=f"Workspace on the server.  [default: {workspaces}, or the key's workspace]"),
        click.option(
            "--api-key",
            help=f"API key of the server. To keep it out of the process list, set a variable instead: {keys}.",
        ),
        click.option("--url", help=f"Address of the server.  [default: {addresses}]"),
    ):
        command = option(command)
    return command
