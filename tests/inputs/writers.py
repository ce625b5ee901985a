"""Every way in which five libraries write a table of texts and labels to a file."""

import bz2
import csv
import gzip
import io
import json
import lzma
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.feather as feather
import pyarrow.parquet as pq

from tests.support.tiny import CLASSES

Records = list[dict[str, Any]]
Choose = Callable[[list[Any]], Any]  # takes one of several variants


@dataclass(frozen=True)
class Written:
    """A file, the options without which it can't be read, and whether its reading is open, so that score may ask."""

    path: Path
    options: tuple[str, ...] = ()
    is_open: bool = False
    flat: bool = False  # whether line ends and tabs within texts were written as blanks


def flattened(text: str) -> str:
    """Return a text with blanks for its tabs and line ends."""
    return text.replace("\t", " ").replace("\n", " ").replace("\r", " ")


def _packed(path: Path, content: bytes, choose: Choose) -> Path:
    """Write a text file, compressed in one of several ways or not."""
    how = choose(["", "", "", ".gz", ".bz2", ".zst", ".xz"])
    path = path.with_name(path.name + how)
    if how == ".zst":
        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            stream.write(content)
        return path
    compress: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
    path.write_bytes(compress[how](content) if how else content)
    return path


def _text(path: Path, text: str, choose: Choose, is_open: bool = False) -> Written:
    """Write text in one of several encodings; without a byte-order mark, another one than UTF-8 must be named."""
    encoding = choose(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "gb18030", "cp1252"])
    try:
        content = text.encode(encoding)
    except UnicodeEncodeError:
        encoding, content = "utf-8", text.encode()
    named = ("--encoding", encoding) if encoding in ("gb18030", "cp1252") else ()
    path = _packed(path, content, choose)
    return Written(path, named, is_open or path.suffix == ".xz")


def _bare_returns(records: Records, end: str, quoting: int) -> bool:
    """Return whether Python before 3.11.9 and 3.12.3 leaves a carriage return without quotes, so it may end a line."""
    texts = [value for record in records for value in record.values() if isinstance(value, str)]
    return end == "\n" and quoting == csv.QUOTE_MINIMAL and any("\r" in text for text in texts)


def _frame(records: Records) -> pd.DataFrame:
    frame = pd.DataFrame(records)
    if frame["label"].dtype.kind == "f":
        return frame.astype({"label": "Int64"}) if len(frame) % 2 else frame
    return frame


def csv_module(records: Records, folder: Path, choose: Choose) -> Written:
    by = choose([",", ",", ";", "\t", "|"])
    quoting = choose([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
    end = choose(["\n", "\r\n"])
    stream = io.StringIO()
    table = csv.DictWriter(stream, list(records[0]), delimiter=by, quoting=quoting, lineterminator=end)
    options: tuple[str, ...] = ()
    if choose([True, True, True, False]):
        table.writeheader()
    else:
        options = ("--columns", ",".join(records[0]))
    table.writerows(records)
    is_open = _bare_returns(records, end, quoting)
    written = _text(folder / ("news.tsv" if by == "\t" else "news.csv"), stream.getvalue(), choose, is_open)
    return replace(written, options=(*written.options, *options))


def csv_pandas(records: Records, folder: Path, choose: Choose) -> Written:
    by = choose([",", ",", ";", "\t", "|"])
    missing, end = choose(["", "", "NaN", "\\N", "<NA>", "None"]), choose(["\n", "\r\n"])
    quoting = choose([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
    index = choose([True, False])
    content = _frame(records).to_csv(sep=by, index=index, quoting=quoting, lineterminator=end, na_rep=missing)
    return _text(folder / "news.csv", content, choose, _bare_returns(records, end, quoting))


def csv_polars(records: Records, folder: Path, choose: Choose) -> Written:
    content = pl.DataFrame(records, infer_schema_length=None).write_csv(
        separator=choose([",", ";", "\t", "|"]), include_bom=choose([True, False]),
        line_terminator=choose(["\n", "\r\n"]), quote_style=choose(["necessary", "always", "non_numeric"]),
        null_value=choose([None, "NaN", "\\N"]),
    )  # fmt: skip
    return Written(_packed(folder / "news.csv", content.encode(), lambda ways: choose(ways[:-1])))


def csv_pyarrow(records: Records, folder: Path, choose: Choose) -> Written:
    options = pa_csv.WriteOptions(
        delimiter=choose([",", ";", "\t", "|"]), quoting_style=choose(["needed", "all_valid"])
    )
    stream = pa.BufferOutputStream()
    pa_csv.write_csv(pa.Table.from_pylist(records), stream, options)
    return Written(_packed(folder / "news.csv", stream.getvalue().to_pybytes(), lambda ways: choose(ways[:-1])))


def csv_datasets(records: Records, folder: Path, choose: Choose) -> Written:
    datasets.Dataset.from_list(records).to_csv(str(folder / "news.csv"), index=choose([True, False]))
    return Written(folder / "news.csv", is_open=_bare_returns(records, "\n", csv.QUOTE_MINIMAL))


def tsv_by_hand(records: Records, folder: Path, choose: Choose) -> Written:
    """Write tabs between the fields and no quotes, as GLUE has it; quotes may then be read in two ways."""
    rows = [["" if value is None else flattened(str(value)) for value in record.values()] for record in records]
    text = "".join("\t".join(fields) + "\n" for fields in [list(records[0]), *rows])
    is_open = '"' in text
    written = _text(folder / "news.tsv", text, choose)
    options = written.options
    if is_open and choose([True, False]):
        options, is_open = (*options, "--quoting", "none"), False
    return Written(written.path, options, is_open or written.is_open, flat=True)


def json_module(records: Records, folder: Path, choose: Choose) -> Written:
    options: dict[str, Any] = {"ensure_ascii": choose([True, False])}
    shape = choose(["lines", "lines", "array", "indented", "a line each", "concatenated"])
    documents = [json.dumps(record, **options) for record in records]
    if shape == "indented":
        content = json.dumps(records, indent=choose([0, 1, 4]), **options)
    elif shape == "concatenated":
        content = choose(["", " ", "\n"]).join(json.dumps(record, indent=2, **options) for record in records)
    else:
        joined = {"lines": "\n".join(documents), "array": json.dumps(records, **options)}
        content = joined.get(shape, "[" + ",\n".join(documents) + "]\n")
    name = "news.jsonl" if shape == "lines" and choose([True, False]) else "news.json"
    path = _packed(folder / name, (choose(["", "", "\ufeff"]) + content).encode(), choose)
    return Written(path, is_open=path.suffix == ".xz")


def json_pandas(records: Records, folder: Path, choose: Choose) -> Written:
    as_lines = choose([True, False])
    indent = None if as_lines else choose([None, 2])
    content = _frame(records).to_json(
        orient="records", lines=as_lines, force_ascii=choose([True, False]), indent=indent
    )
    return Written(_packed(folder / "news.json", content.encode(), lambda ways: choose(ways[:-1])))


def json_polars(records: Records, folder: Path, choose: Choose) -> Written:
    frame = pl.DataFrame(records, infer_schema_length=None)
    stream = io.BytesIO()
    as_lines = choose([True, False])
    (frame.write_ndjson if as_lines else frame.write_json)(stream)
    return Written(
        _packed(folder / f"news.{'ndjson' if as_lines else 'json'}", stream.getvalue(), lambda ways: choose(ways[:-1]))
    )


def json_datasets(records: Records, folder: Path, choose: Choose) -> Written:
    as_lines = choose([True, False])
    datasets.Dataset.from_list(records).to_json(
        str(folder / "news.json"), lines=as_lines, force_ascii=choose([True, False])
    )
    return Written(folder / "news.json")


def parquet_pyarrow(records: Records, folder: Path, choose: Choose) -> Written:
    table = pa.Table.from_pylist(records)
    at = table.schema.get_field_index("text")
    kind = choose([pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
    table = table.set_column(at, "text", table["text"].combine_chunks().cast(kind))
    pq.write_table(
        table, folder / "news.parquet", row_group_size=choose([1, 3, 1000]), use_dictionary=choose([True, False]),
        compression=choose(["snappy", "zstd", "gzip", "brotli", "none"]), data_page_version=choose(["1.0", "2.0"]),
        store_schema=choose([True, False]),
    )  # fmt: skip
    return Written(folder / "news.parquet")


def parquet_pandas(records: Records, folder: Path, choose: Choose) -> Written:
    frame = _frame(records)
    frame.index = frame.index[::-1] if choose([True, False]) else frame.index
    if frame["label"].dtype.kind == "O" and choose([True, False]):
        frame = frame.astype({"label": "category"})
    frame.to_parquet(folder / "news.parquet", index=choose([None, True, False]))
    return Written(folder / "news.parquet")


def parquet_polars(records: Records, folder: Path, choose: Choose) -> Written:
    frame = pl.DataFrame(records, infer_schema_length=None)
    frame.write_parquet(
        folder / "news.parquet",
        row_group_size=choose([2, 512]),
        compression=choose(["zstd", "snappy", "lz4", "uncompressed"]),
    )
    return Written(folder / "news.parquet")


def _labelled(records: Records, choose: Choose) -> datasets.Dataset:
    """Return a Dataset whose labels are names, or the numbers of classes in another order than the model's."""
    data = datasets.Dataset.from_list(records)
    if all(one["label"] is None or isinstance(one["label"], str) for one in records) and choose([True, False]):
        return data.cast_column("label", datasets.ClassLabel(names=list(CLASSES[::-1])))
    return data


def parquet_datasets(records: Records, folder: Path, choose: Choose) -> Written:
    _labelled(records, choose).to_parquet(str(folder / "news.parquet"))
    return Written(folder / "news.parquet")


def saved_to_disk(records: Records, folder: Path, choose: Choose) -> Written:
    _labelled(records, choose).save_to_disk(str(folder / "news"), num_shards=min(len(records), choose([1, 2, 3])))
    return Written(folder / "news")


def arrow_pyarrow(records: Records, folder: Path, choose: Choose) -> Written:
    table, path = pa.Table.from_pylist(records), folder / "news.arrow"
    how = choose(["file", "stream", "feather"])
    if how == "feather":
        feather.write_feather(table, path.with_suffix(".feather"), compression=choose(["zstd", "lz4", "uncompressed"]))
        return Written(path.with_suffix(".feather"))
    with (pa.ipc.new_file if how == "file" else pa.ipc.new_stream)(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=choose([1, 2, 1000]))
    return Written(path)


def arrow_polars(records: Records, folder: Path, choose: Choose) -> Written:
    frame = pl.DataFrame(records, infer_schema_length=None)
    as_stream, compression = choose([True, False]), choose(["uncompressed", "lz4", "zstd"])
    (frame.write_ipc_stream if as_stream else frame.write_ipc)(folder / "news.arrow", compression=compression)
    return Written(folder / "news.arrow")


def parts(records: Records, folder: Path, choose: Choose) -> Written:
    """Write each row to a file of its own, in a folder of files of one format."""
    (folder / "parts").mkdir()
    how = choose(["csv", "jsonl", "parquet"])
    for i, record in enumerate(records):
        frame, path = pd.DataFrame([record]), folder / "parts" / f"part-{i:05}.{how}"
        if how == "csv":
            frame.to_csv(path, index=False, quoting=csv.QUOTE_ALL)
        elif how == "jsonl":
            frame.to_json(path, orient="records", lines=True)
        else:
            frame.to_parquet(path)
    return Written(folder / "parts")


Writer = Callable[[Records, Path, Choose], Written]
WRITERS: tuple[Writer, ...] = (
    csv_module, csv_module, csv_pandas, csv_pandas, csv_polars, csv_pyarrow, csv_datasets, tsv_by_hand,
    json_module, json_module, json_pandas, json_polars, json_datasets,
    parquet_pyarrow, parquet_pandas, parquet_polars, parquet_datasets, saved_to_disk, arrow_pyarrow, arrow_polars,
    parts,
)  # fmt: skip
