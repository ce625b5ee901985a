"""The `lossrank` command group: commands load when they are called, errors print on one line.

Exit codes are in ``cli.exit_codes``.
"""

import errno
import importlib
from typing import IO, Any

import click

from cli.keywords import with_options
from cli.signals import exit_code, ignore_signals
from cli.text import one_line
from scorer.errors import LossrankError, shortage

# Each command's module and the first line of its help, in order; `lossrank --help` imports none of the modules.
COMMANDS = {
    "demo": "Find wrong labels in a real news data set, right now.",
    "export": "Turn a Hugging Face classifier into a bundle that scores without torch.",
    "score": "Compute the loss of every row of a data set.",
    "rank": "Show the rows with the worst loss, or write them to a file.",
    "review": "Look at the worst rows in the browser, and relabel, keep or discard them.",
    "report": "Write what a run found as one file: a page, Markdown or JSON.",
    "log": "Send the worst rows to a review tool, or write them as its records.",
    "pull": "Bring people's decisions back, from a review tool or its exported files.",
    "apply": "Write the whole data set with the labels that people decided on.",
    "diff": "Compare two runs: which rows entered, left or stayed among the worst.",
    "status": "Show how far a run is, how fast, and who works on it.",
    "verify": "Check that a run holds every row once, and that nothing in it has changed.",
    "bench": "Measure how fast this machine scores your rows, and how fast it could.",
}


class OneLineError(click.ClickException):
    """An error that the user can mend, printed as one line."""

    def __init__(self, error: LossrankError, command: click.Command | None = None) -> None:
        """Show an error's message, with the options of the ``command`` that was run for its keyword arguments."""
        super().__init__(one_line(with_options(str(error), command)))
        self.exit_code = error.exit_code  # type: ignore[misc]  # click reads it of the instance

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"Error: {self.message}", file=file, err=file is None)


def load_command(name: str) -> click.Command:
    """Return one of ``COMMANDS``, importing what it needs."""
    command: click.Command = getattr(importlib.import_module(f"cli.commands.{name}"), name)
    return command


class Commands(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return load_command(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            ignore_signals()
            click.echo("Stopped.", err=True)
            ctx.exit(exit_code(error))
        except Exception as error:
            if (shown := _for_users(error)) is None:
                raise
            name = ctx.invoked_subcommand
            raise OneLineError(shown, self.get_command(ctx, name) if name else None) from error


def _for_users(error: Exception) -> LossrankError | None:
    """Return an error that the user can mend, None if it is a fault of the program.

    A pipe whose reader has gone is neither: click then ends quietly.
    """
    match error:
        case LossrankError():
            return error
        case OSError() if error.errno != errno.EPIPE:
            return LossrankError(f"{error.filename or 'the system'}: {error.strerror or type(error).__name__}")
    if lacking := shortage(error):
        return LossrankError(f"{lacking}; close other programs, or use a machine or a limit with more")
    return None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="lossrank", prog_name="lossrank")
def run() -> None:
    """Find the mislabelled rows of a text-classification data set by model loss.

    \b
    Examples:
      lossrank demo
      lossrank export andi611/distilbert-base-uncased-ner-agnews bundle
      lossrank score bundle ag_news --split test -o run
      lossrank rank run --top 20
      lossrank review run
      lossrank log run --to rubrix --name ag_news_error_analysis --top 500
    """
