"""The storages of the tests: real emulators on free loopback ports, and a plain look at what they hold.

What is stored is read by other means than the code under test uses: boto3, the Azure SDK, plain HTTP.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

HERE = Path(__file__).parent
BUCKET = "lab"
# published with the emulator, the same everywhere
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class Unavailable(Exception):
    """Why an emulator cannot run on this machine."""


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as found:
        return int(found.getsockname()[1])


def start(stack: ExitStack, command: list[str], port: int, log: Path) -> None:
    """Run a server until the stack ends; wait until it listens."""
    output = stack.enter_context(log.open("wb"))
    process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    patience = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > patience:
                raise RuntimeError(f"{command[0]} does not run: {log.read_text()[-2000:]}") from None
            time.sleep(0.05)
        else:
            return


def node_modules() -> Path:
    """Azurite, installed from the lock file beside this one, once."""
    npm = shutil.which("npm")
    target = HERE / "node_modules"
    if npm is None or shutil.which("node") is None:
        raise Unavailable("npm is missing: Azurite, the Azure emulator, needs it")
    with (Path(tempfile.gettempdir()) / "storage-tests-npm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test workers start together
        if not (target / ".package-lock.json").exists():
            subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=HERE, check=True, capture_output=True)
    return target


class Backend(ABC):
    """A storage under test."""

    name: str
    #: ``output_path`` of a landing.
    root: str
    environment: dict[str, str] = {}

    @abstractmethod
    def objects(self, prefix: str) -> dict[str, bytes]:
        """What is stored below ``root/prefix``, by key."""

    @abstractmethod
    def store(self, key: str, data: bytes) -> None:
        """Put something there behind the landing's back."""

    def details(self, key: str) -> dict[str, Any]:
        """Content type and metadata, where the storage has such."""
        return {}


class Disk(Backend):
    name = "file"

    def __init__(self, stack: ExitStack, work: Path) -> None:
        self._base = work / "disk"
        self.root = self._base.as_uri()

    def objects(self, prefix: str) -> dict[str, bytes]:
        base = self._base / prefix
        return {str(path.relative_to(base)): path.read_bytes() for path in base.rglob("*") if path.is_file()}

    def store(self, key: str, data: bytes) -> None:
        (self._base / key).parent.mkdir(parents=True, exist_ok=True)
        (self._base / key).write_bytes(data)


class S3(Backend):
    name = "s3"
    root = f"s3://s3_emu@{BUCKET}"

    def __init__(self, stack: ExitStack, work: Path) -> None:
        import boto3

        port = free_port()
        start(stack, [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port, work / "moto.log")
        self.endpoint = f"http://127.0.0.1:{port}"
        extra = {"region_name": "us-east-1", "endpoint_url": self.endpoint}
        connection = {"conn_type": "aws", "login": "testing", "password": "testing", "extra": extra}
        self.environment = {"AIRFLOW_CONN_S3_EMU": json.dumps(connection)}
        self.client = boto3.client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )  # fmt: skip
        stack.callback(self.client.close)
        self.client.create_bucket(Bucket=BUCKET)

    def objects(self, prefix: str) -> dict[str, bytes]:
        found = self.client.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/").get("Contents", [])
        keys = [entry["Key"] for entry in found]
        return {
            key.removeprefix(f"{prefix}/"): self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            for key in keys
        }

    def store(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=data)

    def details(self, key: str) -> dict[str, Any]:
        head = self.client.head_object(Bucket=BUCKET, Key=key)
        return {"content_type": head["ContentType"], "metadata": head["Metadata"]}


class GCS(Backend):
    name = "gs"
    root = f"gs://gcs_emu@{BUCKET}"

    def __init__(self, stack: ExitStack, work: Path) -> None:
        port = free_port()
        command = [str(Path(sys.executable).parent / "gcp-storage-emulator"), "start", "--host", "127.0.0.1"]
        start(stack, [*command, "--port", str(port), "--in-memory", "--default-bucket", BUCKET], port, work / "gcs.log")
        self.endpoint = f"http://127.0.0.1:{port}"
        extra = {"project": "test-project", "is_anonymous": True, "gcs.endpoint": self.endpoint}
        self.environment = {"AIRFLOW_CONN_GCS_EMU": json.dumps({"conn_type": "google_cloud_platform", "extra": extra})}
        self._http = stack.enter_context(httpx.Client(base_url=self.endpoint, trust_env=False, timeout=30))

    def objects(self, prefix: str) -> dict[str, bytes]:
        listed = self._http.get(f"/storage/v1/b/{BUCKET}/o", params={"prefix": f"{prefix}/"}).json().get("items", [])
        return {
            entry["name"].removeprefix(f"{prefix}/"): self._http.get(
                f"/storage/v1/b/{BUCKET}/o/{quote(entry['name'], safe='')}", params={"alt": "media"}
            ).content
            for entry in listed
        }

    def store(self, key: str, data: bytes) -> None:
        self._http.post(
            f"/upload/storage/v1/b/{BUCKET}/o", params={"uploadType": "media", "name": key}, content=data
        ).raise_for_status()

    def details(self, key: str) -> dict[str, Any]:
        found = self._http.get(f"/storage/v1/b/{BUCKET}/o/{quote(key, safe='')}").json()
        return {"content_type": found["contentType"], "metadata": found.get("metadata", {})}


class Azure(Backend):
    name = "abfs"
    root = f"abfs://az_emu@{BUCKET}"

    def __init__(self, stack: ExitStack, work: Path) -> None:
        script = node_modules() / "azurite" / "dist" / "src" / "blob" / "main.js"
        blobs = importlib.import_module("azure.storage.blob")
        port = free_port()
        data = work / "azurite"
        command = ["node", str(script), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(data)]
        command += ["--silent", "--disableTelemetry", "--skipApiVersionCheck"]
        start(stack, command, port, work / "azurite.log")
        self.endpoint = f"http://127.0.0.1:{port}/devstoreaccount1"
        text = (
            f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={AZURE_KEY};"
            f"BlobEndpoint={self.endpoint};"
        )
        connection = {"conn_type": "wasb", "extra": {"connection_string": text}}
        self.environment = {"AIRFLOW_CONN_AZ_EMU": json.dumps(connection)}
        service = stack.enter_context(blobs.BlobServiceClient.from_connection_string(text))
        self.client = service.create_container(BUCKET)

    def objects(self, prefix: str) -> dict[str, bytes]:
        names = [blob.name for blob in self.client.list_blobs(name_starts_with=f"{prefix}/")]
        return {name.removeprefix(f"{prefix}/"): self.client.download_blob(name).readall() for name in names}

    def store(self, key: str, data: bytes) -> None:
        self.client.upload_blob(key, data, overwrite=True)

    def details(self, key: str) -> dict[str, Any]:
        found = self.client.get_blob_client(key).get_blob_properties()
        return {"content_type": found.content_settings.content_type, "metadata": {}}


BACKENDS: dict[str, type[Backend]] = {kind.name: kind for kind in (Disk, S3, GCS, Azure)}  # type: ignore[type-abstract]


def open_backend(name: str, stack: ExitStack, work: Path) -> Backend:
    """Start one, and let Airflow and the libraries find it."""
    # before gcsfs is imported: else it asks for the kind of each bucket for minutes
    os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
    backend = BACKENDS[name](stack, work)  # type: ignore[call-arg]
    os.environ.update(backend.environment)
    return backend
