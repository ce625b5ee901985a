"""unique_names(): give every column a name of its own, as pandas does."""

from collections.abc import Sequence


def unique_names(names: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Return a file's column names, each one only once, and the names that occurred several times.

    A blank name becomes ``Unnamed: 2`` with the column's number from 0. Of several columns of one name, the first keeps
    it, and the others become ``name.1``, ``name.2``, ...
    """
    given = [name if name.strip() else f"Unnamed: {i}" for i, name in enumerate(names)]
    taken = set(given)
    unique: list[str] = []
    repeated: dict[str, int] = {}
    seen: set[str] = set()
    for name in given:
        if name not in seen:
            seen.add(name)
            unique.append(name)
            continue
        number = repeated.get(name, 0) + 1
        while f"{name}.{number}" in taken:
            number += 1
        repeated[name] = number
        taken.add(f"{name}.{number}")
        unique.append(f"{name}.{number}")
    return unique, tuple(repeated)
