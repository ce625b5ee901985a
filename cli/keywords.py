"""Show library messages in the command line's words: a keyword argument in backticks becomes its option."""

import functools
import re

import click

from cli.commands import load_command

_TOOL = {"to": "log", "source": "pull"}  # a message about a server says how to log and how to pull
_KEYWORD = re.compile(r"`([a-z]\w*)(?:=([^`]*))?`")


def with_options(message: str, command: click.Command | None) -> str:
    """Return the message with each backticked keyword argument replaced by the option of ``command`` that sets it.

    `` `overwrite=True` `` becomes `` `--overwrite` ``, `` `overwrite=False` `` becomes `` `no --overwrite` `` (or the
    off-switch of a flag that has one), `` `screen_top` `` becomes `` `--screen-top` ``, and `` `data` `` becomes
    `` `DATA` `` if the command takes it as an argument. A keyword that ``command`` lacks becomes an option of `score`,
    because messages about a run say how to score it again, or the review tool of `log` or `pull`. Other words in
    backticks are unchanged.
    """
    if command is None:
        return message
    known = _parameters(command)

    def translated(found: re.Match[str]) -> str:
        parameter = known.get(found[1]) or _elsewhere().get(found[1])
        return found[0] if parameter is None else f"`{_as_typed(parameter, found[2])}`"

    return _KEYWORD.sub(translated, message)


def in_options(message: str) -> str:
    """Return the message with its keyword arguments replaced by options of the running command."""
    context = click.get_current_context(silent=True)
    return with_options(message, context.command if context else None)


@functools.cache
def _elsewhere() -> dict[str, click.Parameter]:
    """Return the parameters that a message of another command can name: those of `score` that are only its own, and
    the review tool of `log` and of `pull`.
    """
    parameters = _parameters(load_command("score"))
    found = {name: found for name, found in parameters.items() if name not in ("data", "bundle", "output")}
    return found | {name: _parameters(load_command(command))[name] for name, command in _TOOL.items()}


def _parameters(command: click.Command) -> dict[str, click.Parameter]:
    """Return a command's parameters by keyword; the keywords of a parameter are its name and its long options."""
    known: dict[str, click.Parameter] = {}
    for parameter in command.params:
        for option in parameter.opts:
            known[option.lstrip("-").replace("-", "_")] = parameter
    for parameter in command.params:
        if parameter.name is not None:
            known.setdefault(parameter.name, parameter)
    return known


def _as_typed(parameter: click.Parameter, value: str | None) -> str:
    """Return what a user types to set a parameter to ``value``, or the option alone if ``value`` is None."""
    if isinstance(parameter, click.Argument):
        return (parameter.metavar or parameter.name or "").strip("[].").upper()
    if isinstance(parameter, click.Option) and parameter.is_flag:
        if value != "False":
            return parameter.opts[0]
        return parameter.secondary_opts[0] if parameter.secondary_opts else f"no {parameter.opts[0]}"
    return parameter.opts[0] if value is None else f"{parameter.opts[0]} {_unquoted(value)}"


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
