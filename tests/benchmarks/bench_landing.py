"""What a landing costs beside the shortest code that does less: CPU seconds, memory, and files side by side.

    python tests/benchmarks/bench_landing.py

Each measurement runs in a fresh process, peers in turns, the median of five. CPU seconds of the client alone: source
and storage run in processes of their own, and emulators are slow. Memory is the peak above what the process had
before the landing, with everything imported. Nothing is asserted by time.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

ROUNDS = 5
MB = 1_000_000
MANY, EACH, DELAY = 32, 2 * MB, 0.3


def serve() -> None:
    """The source: clips of several sizes, and many small ones that take their time. Runs until it is killed."""
    from tests.faults.landing.clips import mp4
    from tests.faults.landing.server import Exchange, FaultServer

    small = mp4(EACH)

    def late(exchange: Exchange) -> None:
        time.sleep(DELAY)
        exchange.whole(small)

    server = FaultServer()
    for size in (50, 200):
        large = mp4(size * MB)
        server.serve(str(size), lambda exchange, data=large: exchange.whole(data))
    server.serve("late", late)
    print(server.base, flush=True)
    sys.stdin.read()


def bare(url: str, target: str) -> None:
    """The shortest honest download: to a file, with its digest."""
    import hashlib

    import httpx

    digest = hashlib.sha256()
    with httpx.Client(trust_env=False, timeout=60) as client, client.stream("GET", url) as response:
        response.raise_for_status()
        with open(target, "wb") as file:
            for chunk in response.iter_raw():
                digest.update(chunk)
                file.write(chunk)


def landing(url: str, where: str, count: int = 1, threads: int = 8) -> None:
    from airflow_video_providers.core.jobs import JobStatus, VideoJob, VideoOutput
    from airflow_video_providers.landing import land

    outputs = tuple(VideoOutput(url=url) for _ in range(count))
    job = VideoJob(model="bench:clip", request_id=str(os.getpid()), status=JobStatus.SUCCEEDED, outputs=outputs)
    land(job, where, allow_private_hosts=["127.0.0.1"], threads=threads)


def boto(url: str, bucket: str, directory: str, endpoint: str) -> None:
    """The same download, then ``boto3``'s own upload."""
    import boto3

    path = f"{directory}/bare-{os.getpid()}.mp4"
    bare(url, path)
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    client.upload_file(path, bucket, f"boto/{os.getpid()}.mp4", ExtraArgs={"ContentType": "video/mp4"})
    os.unlink(path)


def warm_up(case: str, work: dict[str, str]) -> None:
    """Everything that is imported or connected once per process, with a small file."""
    if case == "land-s3":
        landing(f"{work['source']}/late/x", work["s3"] + "/warm")
    elif case == "bare":
        bare(f"{work['source']}/late/x", f"{work['directory']}/warm.mp4")
    elif case == "boto":
        boto(f"{work['source']}/late/x", "lab", work["directory"], work["endpoint"])
    else:
        landing(f"{work['source']}/late/x", work["directory"] + "/warm")


def child(case: str, size: str, work: dict[str, str]) -> None:
    """One measurement; prints it as JSON."""
    warm_up(case, work)
    url = f"{work['source']}/{size}/clip.mp4"
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    base, start, before = _kib("VmRSS"), time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    if case == "land-file":
        landing(url, work["directory"])
    elif case == "land-s3":
        landing(url, work["s3"])
    elif case == "bare":
        bare(url, f"{work['directory']}/bare-{os.getpid()}.mp4")
    elif case == "boto":
        boto(url, "lab", work["directory"], work["endpoint"])
    else:
        landing(f"{work['source']}/late/x", work["directory"], MANY, int(case.removeprefix("threads-")))
    after, wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - start
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    print(json.dumps({"cpu": cpu, "wall": wall, "peak": (_kib("VmHWM") - base) / 1024}))


def _kib(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])


def run(case: str, size: str, work: dict[str, str]) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=work["directory"]) as directory:
        told = json.dumps({**work, "directory": directory})
        command = [sys.executable, __file__, "child", case, size, told]
        environment = {**os.environ, "TMPDIR": directory}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def turns(cases: list[tuple[str, str]], work: dict[str, str], what: str, after: Any = None) -> list[float]:
    """Each case in turn, several times; the medians."""
    found: list[list[float]] = [[] for _ in cases]
    for _ in range(ROUNDS):
        for values, (case, size) in zip(found, cases, strict=True):
            values.append(run(case, size, work)[what])
            if after is not None:
                after()
    return [statistics.median(values) for values in found]


def main() -> None:
    from tests.storage.emulators import open_backend

    with ExitStack() as stack, tempfile.TemporaryDirectory() as directory:
        s3: Any = open_backend("s3", stack, Path(directory))
        source = subprocess.Popen(
            [sys.executable, __file__, "serve"], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
        )
        stack.callback(source.wait)
        stack.callback(source.kill)
        base = (source.stdout.readline() if source.stdout else "").strip()
        work = {"source": base, "directory": directory, "s3": f"{s3.root}/bench", "endpoint": s3.endpoint}

        def empty() -> None:
            for entry in s3.client.list_objects_v2(Bucket="lab").get("Contents", []):
                s3.client.delete_object(Bucket="lab", Key=entry["Key"])

        print(f"Median of {ROUNDS}, each in a fresh process, in turns.\n")
        ours, bare_file = turns([("land-file", "200"), ("bare", "200")], work, "cpu")
        print(f"200 MB to a file, CPU: landing {ours:.2f} s, httpx to a file with sha256 {bare_file:.2f} s,", end=" ")
        print(f"ratio {ours / bare_file:.2f} (wanted: at most 1.2)")
        ours, upload = turns([("land-s3", "200"), ("boto", "200")], work, "cpu", empty)
        print(
            f"200 MB to S3, CPU: landing {ours:.2f} s, the same download and boto3.upload_file {upload:.2f} s,", end=" "
        )
        print(f"ratio {ours / upload:.2f} (wanted: at most 1.3)")
        for case, limit in (("land-file", 64), ("land-s3", 128)):
            peaks = turns([(case, "50"), (case, "200")], work, "peak", empty)
            told = ", ".join(f"{peak:.0f} MiB for {size} MB" for peak, size in zip(peaks, (50, 200), strict=True))
            print(f"Memory above the base, {case}: {told} (wanted: at most {limit} MiB)")
        eight, one = turns([("threads-8", "late"), ("threads-1", "late")], work, "wall")
        print(
            f"{MANY} files of 2 MB, {DELAY:.1f} s to the first byte: 8 threads {eight:.1f} s, one {one:.1f} s,", end=" "
        )
        print(f"{one / eight:.1f} times as fast (wanted: at least 4)")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve()
    elif sys.argv[1:2] == ["child"]:
        child(sys.argv[2], sys.argv[3], json.loads(sys.argv[4]))
    else:
        main()
