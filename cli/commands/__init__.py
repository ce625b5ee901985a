"""The commands of the command line; a command's module is imported when the command is called."""

import importlib

import click

# Each command's name and short help, in order of use; `lossrank --help` imports no command's module.
COMMANDS = {
    "demo": "Find wrong labels in a real news data set, right now.",
    "export": "Turn a Hugging Face classifier into a bundle that scores without torch.",
    "score": "Compute the loss of every row of a data set.",
    "import-probs": "Make a run of probabilities that any other model has predicted.",
    "rank": "Show the rows with the worst loss, or write them to a file.",
    "review": "Look at the worst rows in the browser; keep, relabel or discard each.",
    "report": "Write the findings of a run to one file: HTML, Markdown or JSON.",
    "log": "Send the worst rows to a review tool, or write them to a file for one.",
    "pull": "Bring people's decisions back from a review tool or its exported files.",
    "apply": "Write the whole data set with the labels that people decided on.",
    "diff": "Compare two runs: which rows entered, left or stayed among the worst.",
    "status": "Show a run's progress and speed, and which process works on it.",
    "verify": "Check that a run has every row once and has not changed since scoring.",
    "bench": "Measure how fast this machine scores your rows, and what limits the speed.",
}


def load_command(name: str) -> click.Command:
    """Import the module of the command ``name``, one of ``COMMANDS``, and return the command."""
    module = name.replace("-", "_")
    command: click.Command = getattr(importlib.import_module(f"cli.commands.{module}"), module)
    return command
