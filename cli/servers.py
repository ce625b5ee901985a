"""The options of the commands that talk to a review server."""

import click

from cli.options import F
from lossrank.review.servers.server import TOOLS


def server_options(command: F) -> F:
    """Add --url, --api-key and --workspace; the tool's environment variables and defaults fill in the rest."""
    addresses = "; ".join(f"{tool.variables}_API_URL or {tool.url}" for tool in TOOLS.values())
    keys = ", ".join(f"{tool.variables}_API_KEY" for tool in TOOLS.values())
    workspaces = ", ".join(f"{tool.variables}_WORKSPACE" for tool in TOOLS.values() if tool.workspaces)
    for option in (
        click.option("--workspace", help=f"Workspace.  [default: {workspaces}, or the key's own]"),
        click.option(
            "--api-key",
            help=f"The server's key; better given as {keys}, which no list of processes shows.",
        ),
        click.option("--url", help=f"The server's address.  [default: {addresses}]"),
    ):
        command = option(command)
    return command
