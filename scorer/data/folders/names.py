"""Which files in a folder are never data, by their names."""

# Files that describe a data set, which libraries and services put beside it.
DESCRIPTIONS = (
    "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "config.json",  # the hub's
    "croissant.json", "datapackage.json", "dataset-metadata.json",  # MLCommons's, Frictionless's and Kaggle's
)  # fmt: skip


def is_hidden(path: str) -> bool:
    """Return whether a path has a part that begins with a dot or an underscore, which is no data by convention.

    A Hive partition ``_key=value`` is data, as for Spark.
    """
    return any(part.startswith(".") or (part.startswith("_") and "=" not in part) for part in path.split("/"))
