"""The same faults through the unmodified clients of other video vendors: how many paid POSTs one call sends."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults.money.peers.server import FAULTS, Fault, FaultyVendor, make_certificate
from tests.faults.money.table import markdown

LEGEND = (
    "Submits sent for one call / of these accepted, and so charged, by the vendor. Airflow's own retries come on top: "
    "with retries=3 a task without a ledger multiplies them by four."
)
_HERE = Path(__file__).parent
_ROOT = _HERE.parents[3]
_ENVIRONMENT = _ROOT / ".venv-peers"
#: Seconds for one call with all its repetitions; the longest takes about 75.
_PATIENCE = 150
CLIENTS = ("this_package", "segmind", "openai", "runwayml", "fal_client", "replicate")


def compare() -> str:
    """The table; installs the clients first, where that has not been done."""
    python = install()
    with tempfile.TemporaryDirectory(prefix="peers-") as folder, ThreadPoolExecutor(8) as pool:
        certificate = Path(folder, "vendor.pem")
        make_certificate(certificate)

        def cell(fault: Fault, client: str) -> str:
            return _call(client, fault, certificate, sys.executable if client == "this_package" else str(python))

        rows = [[pool.submit(cell, fault, client) for client in CLIENTS] for fault in FAULTS]
        cells = [[fault.name, *(one.result() for one in row)] for fault, row in zip(FAULTS, rows, strict=True)]
    names = [client.replace("_", "-" if client == "fal_client" else " ") for client in CLIENTS]
    return markdown([["every submit gets", *names], *cells])


def install() -> Path:
    """The Python that has the peers' clients."""
    wanted = (_HERE / "requirements.txt").read_text()
    python, stamp = _ENVIRONMENT / "bin" / "python", _ENVIRONMENT / "installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(_ENVIRONMENT, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(_HERE / "requirements.txt")], check=True)
        stamp.write_text(wanted)
    return python


def _call(client: str, fault: Fault, certificate: Path, python: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(_ROOT),
        "SSL_CERT_FILE": str(certificate),
        # whatever is not on this machine ends at a proxy that is not there
        "ALL_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
    }
    with FaultyVendor(fault, certificate) as vendor:
        try:
            done = subprocess.run(
                [python, str(_HERE / "calls.py"), client, f"http://{vendor.address}"],
                env=environment, capture_output=True, text=True, timeout=_PATIENCE, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"{vendor.posts} / {vendor.paid}, still waiting"
        if done.returncode and (fault.name == "none" or not vendor.posts):
            raise RuntimeError(f"{client} under {fault.name!r}:\n{done.stderr[-3000:]}")
        return f"{vendor.posts} / {vendor.paid}"
