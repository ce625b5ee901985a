"""address: what of an address is a password, a query or a glob."""

import pytest

from scorer import SourceError, open_source
from scorer.address import has_magic, has_password, scrubbed, without_secrets

LONG = "https://h/a.csv?sig="


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://me:word@h/a.csv", "https://h/a.csv"),
        ("https://me:p/w@localhost/a.csv", "https://localhost/a.csv"),
        ("HTTP://me:p/w@localhost:80/a.csv?x=y@z", "HTTP://localhost:80/a.csv"),
        ("https://me:p@s/w@h/a.csv", "https://h/a.csv"),
        ("https://me:12x/w@h/a.csv", "https://h/a.csv"),
        ("https://me:99999/w@h/a.csv", "https://h/a.csv"),
        ("https://me:p?w@h/a.csv", "https://"),
        ("https://me:p#w@h/a.csv?x=y@z", "https://"),
        ("s3://key:se/cr@et@bucket/a*.csv", "s3://bucket/a*.csv"),
        ("s3://key:12/34@bucket/a.csv", "s3://bucket/a.csv"),
        ("ftp://me:word@h:21/a.csv", "ftp://h:21/a.csv"),
        ("sftp://me:p/w@h:22/a.csv", "sftp://h:22/a.csv"),
        ("zip://a.csv::https://me:word@h/all.zip", "zip://a.csv::https://h/all.zip"),
        ("zip://a.csv::s3://key:se/cret@bucket/all.zip", "zip://a.csv::s3://bucket/all.zip"),
    ],
)
def test_a_password_is_told_and_not_shown(address: str, shown: str) -> None:
    assert has_password(address)
    assert without_secrets(address) == shown
    assert scrubbed(f"see {address}, then go") == f"see {shown}, then go"
    with pytest.raises(SourceError, match=r"address holds a password, which every list of processes shows"):
        open_source(address)


@pytest.mark.parametrize(
    "address",
    [
        "https://h:8080/me@x.csv",
        "https://[::1]:8080/12:30/me@x.csv",
        "https://h/12:30/me@x.csv",
        "s3://bucket/logs/12:30/me@x.csv",
        "hdfs://name:8020/logs/me@x.csv",
        "hf://datasets/me/it@refs/pr/1/12:30@x.csv",
        "abfs://container@account/12:30/me@x.csv",
        "github://owner:repository@main/a.csv",
        "zip://a.csv::file:///x/z@1/all.zip",
        "zip://a.csv::file:///x/12:30/z@1/all.zip",
        "zip://12:30/a.csv::s3://bucket/me@x.zip",
    ],
)
def test_a_colon_and_an_at_are_no_password(address: str) -> None:
    assert not has_password(address)
    assert without_secrets(address) == address
    assert scrubbed(f"see {address}, then go") == f"see {address}, then go"


@pytest.mark.parametrize(
    "address",
    [
        "s3://b/k-0?-of-4-lang=en.parquet",
        "s3://b/s?ard=1.parquet",
        "s3://b/s?ard=1/part.csv.gz",
        "gs://b/s?ard=1/*",
        "s3://b/year=20?4/lang=en/a.parquet",
    ],
)
def test_a_glob_stays(address: str) -> None:
    assert has_magic(address)
    assert without_secrets(address) == address


@pytest.mark.parametrize("query", ["?sv=1&sig=x", "?sig=x.y.z", "?name=a.csv&sig=x", "?X-Goog-Signature=x/y"])
def test_a_query_elsewhere_than_on_the_web_goes(query: str) -> None:
    assert without_secrets(f"abfs://container@account/d/*.csv{query}") == "abfs://container@account/d/*.csv"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        (f"{LONG}abc'def ends", "https://h/a.csv ends"),
        (f'said "{LONG}a"b\'c<d>e", then', 'said "https://h/a.csv", then'),
        (f"({LONG}x), url='{LONG}y'; {LONG}z.", "(https://h/a.csv), url='https://h/a.csv'; https://h/a.csv."),
        ("https://h/it's.csv?sig=x'y z", "https://h/it's.csv z"),
        ("['https://t@h/a','https://t@h/b']", "['https://h/a','https://h/b']"),
        ("s3://b/?.csv,https://t@h/b?x", "s3://b/?.csv,https://h/b"),
        (f"zip://a.csv::{LONG}a'b c", "zip://a.csv::https://h/a.csv c"),
    ],
)
def test_a_signature_in_a_text_ends_at_a_blank_alone(text: str, safe: str) -> None:
    assert scrubbed(text) == safe
