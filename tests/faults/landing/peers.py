"""What people use today to bring a finished video into storage, each as its documentation shows it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.storage.emulators import Backend

TRIES = 4  # as a task with retries=3 has


def open_and_write(url: str, s3: Backend, key: str) -> None:
    """``ObjectStoragePath.open("wb")`` with requests, as in many a blog post."""
    import requests
    from airflow.sdk import ObjectStoragePath

    with requests.get(url, stream=True, timeout=10) as response:
        response.raise_for_status()
        with ObjectStoragePath(f"{s3.root}/{key}").open("wb") as target:
            for chunk in response.iter_content(1 << 16):
                target.write(chunk)


def file_transfer(url: str, s3: Backend, key: str) -> None:
    """``FileTransferOperator`` of the common-io provider, from the web, where fsspec's HTTP is attached."""
    import fsspec
    from airflow.providers.common.io.operators.file_transfer import FileTransferOperator
    from airflow.sdk.io import attach

    attach("http", fs=fsspec.filesystem("http"))
    FileTransferOperator(task_id="copy", src=url, dst=f"{s3.root}/{key}", overwrite=True).execute({})


def http_to_s3(url: str, s3: Backend, key: str) -> None:
    """``HttpToS3Operator`` of the amazon provider."""
    from airflow.providers.amazon.aws.transfers.http_to_s3 import HttpToS3Operator

    parts = urlsplit(url)
    connection = {"conn_type": "http", "host": f"{parts.scheme}://{parts.netloc}"}
    os.environ["AIRFLOW_CONN_FAULTS"] = json.dumps(connection)
    HttpToS3Operator(
        task_id="copy", http_conn_id="faults", endpoint=f"{parts.path}?{parts.query}", method="GET", s3_bucket="lab",
        s3_key=key, replace=True, aws_conn_id=urlsplit(s3.root).username,
    ).execute({})  # fmt: skip


def curl(url: str, directory: Path, key: str) -> None:
    """curl with the options that make it fail loudly."""
    target = directory / key
    target.parent.mkdir(parents=True, exist_ok=True)
    command = ["curl", "-fsSL", "--max-redirs", "5", "--max-time", "20", "-o", str(target), url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])


S3_PEERS: dict[str, Callable[[str, Backend, str], None]] = {
    "open('wb')": open_and_write,
    "FileTransfer": file_transfer,
    "HttpToS3": http_to_s3,
}
HAS_CURL = shutil.which("curl") is not None
