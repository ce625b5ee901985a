"""Which distributions are installed here, and in which versions."""

from collections.abc import Iterable
from importlib import metadata


def installed_versions(distributions: Iterable[str]) -> dict[str, str]:
    """Return the versions of those distributions that are installed, in the given order."""
    found = {}
    for name in distributions:
        try:
            found[name] = metadata.distribution(name).version
        except metadata.PackageNotFoundError:
            continue
    return found
