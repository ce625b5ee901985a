"""open_source(): open files, folders, globs, saved and named data sets, or data in memory, as one stream of rows.

Rows are numbered from 0 in a fixed order: paths in the order given, the files of a folder or glob by name, and the rows
of data in memory as it shows them. A score is joined back to its row by this number.
"""

from scorer.address import Address
from scorer.data.opening.files import from_paths
from scorer.data.opening.memory import from_memory
from scorer.data.read_options import ReadOptions, check_read_options, refuse_read_options
from scorer.data.source import Data, Source, paths_of
from scorer.errors import SourceError


def open_source(
    data: Data,
    *,
    config: str | None = None,
    split: str | None = None,
    name: str | None = None,
    streaming: bool = False,
    hashed: bool = False,
    read: ReadOptions | None = None,
) -> Source:
    """Open the data to score.

    ``data`` is a file, folder or glob of Parquet, Arrow, CSV, JSON or fastText, on this machine or in a remote store
    (``s3://bucket/folder``), or several of them; a folder written by ``datasets.save_to_disk``; the name of a
    ``datasets`` data set, with ``config`` and ``split``; or data in memory, called ``name`` in messages: a Dataset,
    a DatasetDict with ``split``, an IterableDataset, a DataFrame of pandas or polars, a Table, RecordBatch or
    RecordBatchReader of pyarrow, or a list of dicts, one a row. Data in memory is read as it shows its rows, so a
    shuffled or filtered Dataset has other row numbers than its file; a DataFrame's index is not used. A Source is
    returned as it is.
    ``streaming`` reads a `datasets` data set (a name, or a folder in the library's layout) without downloading it
    first. ``hashed`` reads remote files to hash their content, instead of using the version from their store.
    ``read`` has the options for reading files.

    Raises:
        TypeError: the data is of no such kind.
        SourceError: the data is empty or unreadable, its files differ in columns, or a split is missing.
        SourceError: ``config``, ``split`` or ``streaming`` is given for data in memory that has no such thing.
        NotThereError: nothing lies at the path or address.
        UnreachableError: the store or the hub failed.
    """
    if isinstance(data, Source):
        return data
    read = read or ReadOptions()
    check_read_options(read)
    paths = paths_of(data)
    if paths is None:
        refuse_read_options(read, "in memory")
        source = from_memory(data, name, config, split, streaming)
    else:
        source = from_paths(list(map(Address.parse, paths)), config, split, streaming, hashed, read)
    if source.num_rows == 0:
        columns = f"columns {', '.join(source.schema.names)}" if source.schema.names else "no column"
        raise SourceError(f"{source.name} is empty: it has {columns} and no rows", quotes_data=True)
    return source
