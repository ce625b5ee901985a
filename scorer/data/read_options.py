"""ReadOptions: how the user wants files to be read; what is None is recognised from each file."""

import msgspec

from scorer.errors import SourceError

QUOTING = ("minimal", "none")
ANNOTATORS = ("majority", "first")


class ReadOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How files are read; they are recorded in run.json, so that the same rows are read again.

    ``delimiter`` is the character between the fields of a CSV file. ``quoting`` says whether a double quote at the
    start of a field encloses the field (``minimal``) or is part of the text (``none``). ``encoding`` is the encoding of
    text files. ``columns`` names the columns of a CSV file without a header; ``header`` says whether there is one.
    ``annotators`` is how one label is made of several people's: that of the ``majority``, or the ``first``.
    """

    delimiter: str | None = None
    quoting: str | None = None
    encoding: str | None = None
    columns: tuple[str, ...] | None = None
    header: bool | None = None
    annotators: str | None = None

    @property
    def given(self) -> list[str]:
        """The names of the options that were given."""
        return [name for name in self.__struct_fields__ if getattr(self, name) is not None]


def refuse_read_options(options: ReadOptions, what: str) -> None:
    """Raise SourceError if an option for reading files was given for ``what``, which is no file.

    Raises:
        SourceError: an option was given.
    """
    if options.given:
        name = options.given[0]
        raise SourceError(f"`{name}` tells how a file is read, but the data is {what}; leave it out")


def check_read_options(options: ReadOptions) -> None:
    """Raise SourceError for a value that is not allowed, or for two options that contradict each other.

    Raises:
        SourceError: a value is not allowed, or ``columns`` is given for files with a header.
    """
    for name, value, allowed in (
        ("quoting", options.quoting, QUOTING),
        ("annotators", options.annotators, ANNOTATORS),
    ):
        if value is not None and value not in allowed:
            raise SourceError(f"`{name}` is {value!r}; it must be one of: {', '.join(allowed)}")
    if options.delimiter is not None and (len(options.delimiter) != 1 or options.delimiter in '"\r\n\0'):
        raise SourceError(f"`delimiter` is {options.delimiter!r}; it must be one character, such as ',' or ';'")
    if options.encoding is not None:
        try:
            "a".encode(options.encoding)
            "".join(b"".decode(options.encoding, handler) for handler in ("replace", "surrogateescape"))
        except (LookupError, UnicodeError):
            raise SourceError(
                f"`encoding` is {options.encoding!r}, which Python does not know; give a name such as 'cp1252'"
            ) from None
    if options.columns is not None:
        if options.header:
            raise SourceError("`columns` names the columns of a file without a header; leave `columns` or `header` out")
        if "" in options.columns or len(set(options.columns)) < len(options.columns):
            raise SourceError(
                f"`columns` is {','.join(options.columns)!r}; give each column a name of its own, and separate the "
                "names by commas"
            )
