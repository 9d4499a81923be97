"""The same faults through this package and through what people use today, side by side: ``python -m tests.faults.landing``."""

from __future__ import annotations

import logging
import tempfile
import time
import warnings
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from airflow_video_providers.core.errors import DownloadError
from airflow_video_providers.core.jobs import JobStatus, VideoJob, VideoOutput
from airflow_video_providers.landing import land
from tests.faults.landing import peers
from tests.faults.landing.cases import CLIP, FAULTS, HASTE, OTHER, Fault, serve, to, vendor_of
from tests.faults.landing.guarded import GUARDED, behind
from tests.faults.landing.server import FaultServer
from tests.storage.emulators import Backend, open_backend

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = b'{"AccessKeyId": "internal", "SecretAccessKey": "internal"}'


def judged(fault: Fault, run: Callable[[], None], stored: Callable[[], list[bytes]], tries: int) -> str:
    """Run it, as often as a task would; what is stored then, and was anything broken visible on the way?"""
    seen_wrong, error, attempt = False, True, 0
    while attempt < tries and error:
        attempt += 1
        try:
            run()
        except Exception:  # noqa: BLE001 - peers fail in their own words
            error = True
        else:
            error = False
        seen_wrong = seen_wrong or any(data not in (CLIP, OTHER) for data in stored())
    # who lands the sound clip where another refuses is right too
    if not error and stored() == [fault.lands or CLIP]:
        tried = f" (try {attempt})" if attempt > 1 else ""
        return f"right{tried}" + (", BROKEN FILE VISIBLE before" if seen_wrong else "")
    if seen_wrong and SECRET in stored():
        return "STORED THE INTERNAL ANSWER" + ("" if error else " as success")
    if seen_wrong:
        return "BROKEN FILE LEFT" + (", error" if error else ", SUCCESS reported")
    return "error, nothing stored"


def ours(fault: Fault, server: FaultServer, s3: Backend, name: str) -> str:
    url, fresh = serve(server, fault, name)

    def job(address: str) -> VideoJob:
        outputs = (VideoOutput(url=address),)
        return VideoJob(model="pixazo:mochi-v1", request_id=name, status=JobStatus.SUCCEEDED, outputs=outputs)

    def run() -> None:
        land(job(url), f"{s3.root}/{name}", allow_private_hosts=["127.0.0.1"], refresh=vendor_of(fault, fresh))

    def stored() -> list[bytes]:
        stored = s3.objects(name).items()  # what is refused and kept aside is nobody's video
        return [data for key, data in stored if not key.endswith("manifest.json") and "_rejected/" not in key]

    verdict = judged(fault, run, stored, 1)
    if verdict == "error, nothing stored":
        try:
            run()
        except DownloadError as error:
            return f"{type(error).__name__} ({error.reason})"
    return verdict


def with_internal_service(server: FaultServer) -> list[Fault]:
    """A redirect to a metadata address, made harmless: a service on this machine that only insiders should see."""
    server.serve("internal", lambda exchange: exchange.whole(SECRET))
    inside = f"http://localhost:{server.port}/internal/credentials"
    return [replace(f, answer=to(inside)) if "metadata" in f.name else f for f in FAULTS]


def main() -> None:
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    warnings.simplefilter("ignore")
    for module, name, value in HASTE:
        setattr(module, name, value)
    names = ["this package", *peers.S3_PEERS, *(["curl"] if peers.HAS_CURL else [])]
    rows: list[list[str]] = []
    began = time.monotonic()
    with ExitStack() as stack, tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        s3 = open_backend("s3", stack, work)
        server = stack.enter_context(FaultServer())
        narrow = [(fault, stack.enter_context(behind(rule, s3))) for fault, rule in GUARDED]
        for number, (fault, bucket) in enumerate([*((f, s3) for f in with_internal_service(server)), *narrow]):
            row = [fault.name, ours(fault, server, bucket, f"ours-{number}")]
            for peer, run in peers.S3_PEERS.items():
                name = f"{''.join(filter(str.isalnum, peer)).lower()}-{number}"
                url, _ = serve(server, fault, name)
                row.append(
                    judged(
                        fault,
                        lambda run=run, url=url, name=name, bucket=bucket: run(url, bucket, f"{name}/clip.mp4"),
                        lambda name=name: list(s3.objects(name).values()),
                        peers.TRIES,
                    )
                )
            if peers.HAS_CURL:
                url, _ = serve(server, fault, f"curl-{number}")
                target = work / f"curl-{number}" / "clip.mp4"
                row.append(
                    judged(
                        fault,
                        lambda url=url, number=number: peers.curl(url, work, f"curl-{number}/clip.mp4"),
                        lambda target=target: [target.read_bytes()] if target.exists() else [],
                        peers.TRIES,
                    )
                )
            rows.append(row)
            assert not row[1].startswith(("BROKEN", "STORED")), row
    widths = [max(len(row[column]) for row in [["fault", *names], *rows]) for column in range(len(names) + 1)]
    for row in [["fault", *names], ["-" * width for width in widths], *rows]:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
    print(
        f"\n{len(rows)} faults, a clip of {len(CLIP)} bytes to S3 (moto), curl to a file; peers get {peers.TRIES} tries,"
    )
    print(f"this package one. {time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    main()
