"""refuse_table(): recognise JSON files that hold a whole table in one object, and say how to convert them."""

from typing import Any

from scorer.data.columns import is_known
from scorer.data.filesystem import DataFile
from scorer.errors import SourceError

_RECORDS = "to_json(NEW, orient='records', lines=True)"
_AS_IT_IS = "dtype=False, convert_dates=False"  # else pandas makes numbers and dates of texts


def refuse_table(file: DataFile, record: dict[str, Any]) -> None:
    """Raise SourceError if the only object of a file is a whole table, not a row.

    Raises:
        SourceError: the object has the records in a list, or the columns as objects or lists; the message has the line
            of Python that converts the file.
    """
    # A row of an annotation tool may hold lists of objects too, beside its text.
    if any(isinstance(value, str) and is_known(name) for name, value in record.items()):
        return
    inside = {name: value for name, value in record.items() if isinstance(value, dict | list)}
    is_split = set(record) >= {"columns", "data"} and isinstance(record["data"], list)
    lists = [
        name
        for name, value in inside.items()
        if isinstance(value, list) and len(value) > 0 and all(isinstance(item, dict) for item in value)
    ]
    if is_split:
        what, fix = (
            "columns and data apart (orient='split')",
            f"pandas.read_json(FILE, orient='split', {_AS_IT_IS}).{_RECORDS}",
        )
    elif len(lists) == 1:
        key = lists[0][:40]
        what = f"its rows in a list under {key!r}"
        fix = f"json.dump(json.load(open(FILE))[{key!r}], open(NEW, 'w'))"
    elif len(record) > 1 and len(inside) == len(record) and all(isinstance(value, dict) for value in inside.values()):
        keys = [set(value) for value in inside.values()]
        if any(map(is_known, record)) or len(set.union(*keys)) > len(record) * 2:
            what, fix = (
                "a whole table, column by column",
                f"pandas.read_json(FILE, {_AS_IT_IS}).{_RECORDS}",
            )
        else:
            what, fix = (
                "a whole table (orient='index')",
                f"pandas.read_json(FILE, orient='index', {_AS_IT_IS}).{_RECORDS}",
            )
    elif len(record) > 1 and len(inside) == len(record) and any(map(is_known, record)):
        what, fix = "a whole table, column by column", f"pandas.DataFrame(json.load(open(FILE))).{_RECORDS}"
    else:
        return
    raise SourceError(f"{file} is one JSON object with {what}; convert it: {fix}", quotes_data=True)
