"""What an author may write as ``output_path``, and what a refusal says."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from airflow_video_providers.core.errors import InvalidRequestError
from airflow_video_providers.core.storage.open import check_output_path, open_store
from airflow_video_providers.core.storage.output_path import OutputPath, read_output_path, text_of

ARN = "arn:aws:s3:eu-west-1:123456789012:accesspoint"


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("s3://bucket", OutputPath("s3", None, "bucket", "")),
        ("s3://lab@bucket//a//b/", OutputPath("s3", "lab", "bucket", "a/b")),
        ("S3://bucket/A", OutputPath("s3", None, "bucket", "A")),
        ("gs://g-1@b_u.c/a b", OutputPath("gs", "g-1", "b_u.c", "a b")),
        ("adl://az@lake/x", OutputPath("adl", "az", "lake", "x")),
        (f"s3://lab@{ARN}/point/a/b", OutputPath("s3", "lab", ARN, "point/a/b")),
        ("sftp://conn@/abs/x", OutputPath("sftp", "conn", "", "abs/x")),
        ("memory://x/y", OutputPath("memory", None, "x", "y")),
        ("/w/day#1?", OutputPath("", None, "", "/w/day#1?")),
        ("/w/with space", OutputPath("", None, "", "/w/with space")),
        ("file:///w/with%20space", OutputPath("", None, "", "/w/with space")),
        ("file:///w/day%231", OutputPath("", None, "", "/w/day#1")),
        (Path("/data/v"), OutputPath("", None, "", "/data/v")),
        (PurePosixPath("/data/v"), OutputPath("", None, "", "/data/v")),
    ],
)  # fmt: skip
def test_what_can_be_landed_at_is_taken_apart(given: Any, read: OutputPath) -> None:
    assert read_output_path(given) == read


def test_an_access_point_is_the_bucket_with_its_whole_name() -> None:
    assert read_output_path(f"s3://{ARN}/point/a/b").bucket == f"{ARN}/point"
    assert read_output_path("s3://plain/a/b").bucket == "plain"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "is empty"), ("  ", "is empty"), (" s3://b/x", "space"), ("s3://b/x\n", "space"), ("/a\0b", "printed"),
        ("s3://b/\u202e".replace("\u202e", "\x1b"), "printed"), ("/a\ud800", "printed"),
        ("videos", "no absolute path"), ("./videos", "no absolute path"), ("~/v", "a worker's home"), ("~", "a worker's home"),
        ("s3//bucket/v", "s3://..."), ("s3:/bucket/v", "no // behind"), ("s3:bucket", "no // behind"),
        ("C:\\videos", "no // behind"),
        ("s3://", "no address of a bucket"), ("s3:///v", "no address of a bucket"), ("gs:///v", "no address of a bucket"),
        ("s3://lab@/v", "no address of a bucket"), ("gs://b/a?b", "no address of a bucket"), ("s3://b/a#b", "no address"),
        ("s3://b/../c", "no address"), ("s3://b/a/./c", "no address"), ("s3://[b/x", "cannot be read"),
        ("file://host/v", "no absolute path"), ("file:v", "no absolute path"), ("file:///w/day#1", "%23"), ("file:///w/a?b", "%3F"),
        ("file:///a%00b", "printed"),
        ("http://h/x", "nothing can be stored"), ("https://h/x", "nothing can be stored"), ("github://o:r@/x", "password"),
        ("github://o/x", "nothing can be stored"), ("s4://bucket/x", "nothing can be stored"), ("zip://x/y", "nothing can be"),
        ("simplecache::s3://b/x", "no // behind"),
        ("abfss://cont@acc.dfs.core.windows.net/p", "abfs://conn_id@cont/p"), ("wasb://c@acc/p", "abfs://conn_id@c/p"),
        ("wasbs://c@acc.blob.core.windows.net/p", "abfs://conn_id@c/p"), ("abfs://c@acc.dfs.core.chinacloudapi.cn/p", "abfs://conn_id@c/p"),
        (None, "must be text"), (7, "must be text"), (b"/v", "must be text"), ({}, "must be text"), (["/v"], "must be text"),
    ],
)  # fmt: skip
def test_what_cannot_is_refused_with_the_form_that_can(given: Any, says: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        check_output_path(given)
    assert says in str(raised.value)
    assert (raised.value.field, raised.value.charged) == ("output_path", "no")
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    "given",
    ["s3://AKIA:topsecret@bucket/x", "sftp://me:topsecret@host/x", "ftp://me:topsecret@h", "s3://k:topsecret/y@bucket/x",
     "s3://k:a@topsecret@bucket/x", "abfs://k:topsecret@acc.dfs.core.windows.net/x"],
)  # fmt: skip
def test_of_a_password_in_a_path_nothing_is_ever_shown(given: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        open_store(given)
    shown = f"{raised.value} {raised.value.value} {raised.value.allowed} {raised.value!r}"
    assert "topsecret" not in shown


def test_a_path_object_of_airflow_keeps_its_connection() -> None:
    from airflow.sdk import ObjectStoragePath

    assert text_of(ObjectStoragePath("file:///data/v")) == "/data/v"
    made = ObjectStoragePath("memory://x/y", conn_id=None)
    read = read_output_path(made)
    assert (read.scheme, read.conn_id, read.root.strip("/")) == ("memory", None, "x/y")


@pytest.mark.parametrize("given", ["/w/day#1", "/w/with space", "/w/100%25", "/w/é", "/w/a?b"])
def test_the_address_in_a_manifest_leads_back_to_the_same_directory(given: str) -> None:
    store = open_store(given)
    assert open_store(store.uri).uri == store.uri
    assert read_output_path(store.uri).prefix == given
