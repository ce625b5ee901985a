"""The `lossrank` command group, which imports a command when the command is called, and prints errors on one line.

The exit codes are in ``cli.exit_codes``.
"""

import errno
from typing import IO, Any

import click

from cli.commands import COMMANDS, load_command
from cli.keywords import with_options
from cli.signals import exit_code, ignore_signals
from cli.text import one_line
from scorer.errors import LossrankError, shortage


class OneLineError(click.ClickException):
    """An error that the user can fix, printed on one line."""

    def __init__(self, error: LossrankError, command: click.Command | None = None) -> None:
        """Keep the error's message, with its keyword arguments replaced by the options of ``command``."""
        super().__init__(one_line(with_options(str(error), command)))
        self.exit_code = error.exit_code  # type: ignore[misc]  # click reads it from the instance

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"Error: {self.message}", file=file, err=file is None)


class Commands(click.Group):
    """A group that imports a command's module when the command is called."""

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
    """Return an error that the user can fix as one line, or None if the fault is in the program.

    None is also returned for a broken pipe: click then ends the command without a message.
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
