"""What needs a decoder: decoding every frame, and a poster. PyAV comes with the extra ``media``.

A decoder is a large program that reads what somebody else wrote. It runs in a process of its own (see
``decode_process``), which has limits of memory, CPU and time and nothing of this one's environment, where credentials are.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, cast

from airflow_video_providers.core.errors import InvalidRequestError, OutputRejectedError
from airflow_video_providers.core.landing.media_info import MediaInfo, printable, rejected

_DEMUXERS = {"mp4": "mp4", "mov": "mov", "webm": "matroska", "mkv": "matroska"}
_POSTER_AT = 0.1
#: A picture of 4096x4096, or 6720x2494: more than any model makes. Decoders keep up to 17 frames of a film.
MOST_PIXELS = 4096 * 4096
MOST_FRAMES = 250_000
MOST_MEMORY = 1024 * 1024 * 1024
CPU_SECONDS = {"decode": 900, "poster": 60}
WALL_SECONDS = {"decode": 1800.0, "poster": 180.0}
MOST_ANSWER = 32 * 1024 * 1024
_LAST_SECONDS = 10.0
# of all that a worker has in its environment, a Python built as a shared library may need these
_ENVIRONMENT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_AT_ONCE = threading.BoundedSemaphore(2)
_PROGRAM = Path(__file__).with_name("decode_process.py")
_INSTALL = "Install airflow-video-providers[media] on the workers"


def require_av() -> None:
    """Ask before anything is bought whether PyAV is there.

    :raises InvalidRequestError: if it is not installed. Nothing is charged for that.
    """
    if not _has_av():
        raise InvalidRequestError(
            "poster=True and verify='decode' need PyAV, which is not installed.",
            remedy=f"{_INSTALL}, or do without.",
        )


def decode(path: str, media: MediaInfo) -> int:
    """Decode every frame.

    :return: How many there are.
    :raises OutputRejectedError: if one cannot be decoded, or there is none, or fewer than the container holds; with
        ``reason="decoder"`` if the decoder is missing, hit its limits or crashed, which says nothing about the
        file. All are worth keeping.
    """
    if not media.picture.readable:
        raise rejected("A part of its pictures or sound cannot be read", "decode")
    answer, _ = _ask("decode", path, media)
    frames, samples = _whole(answer, "frames"), _whole(answer, "samples")
    expected = media.picture.frames
    if not frames or samples < 0.9 * (expected or 0):
        promised = "" if expected is None else f", and its index has {expected}"
        raise rejected(f"{frames} frames can be decoded{promised}", "decode")
    return frames


def poster(path: str, media: MediaInfo) -> tuple[bytes, int, int]:
    """A JPEG of one frame, a tenth into the clip: the first one is often black. It is turned as players show it.

    :return: The image, its width and its height.
    :raises OutputRejectedError: as :func:`decode` does.
    """
    answer, image = _ask("poster", path, media)
    if not image.startswith(b"\xff\xd8"):
        raise _failed("it answered with something else than a picture")
    return image, _whole(answer, "width"), _whole(answer, "height")


def _whole(answer: dict[str, Any], name: str) -> int:
    """A number of the answer, which is as foreign as the file once the decoder has read that."""
    value = answer.get(name)
    if isinstance(value, int) and 0 <= value <= MOST_PIXELS:
        return value
    raise _failed(f"it answered without a number of {name}")


def _has_av() -> bool:
    return find_spec("av") is not None


def _ask(task: str, path: str, media: MediaInfo) -> tuple[dict[str, Any], bytes]:
    if not _has_av():
        raise _failed("PyAV is not installed", remedy=_INSTALL)
    pixels = (media.width or 0) * (media.height or 0)
    if pixels > MOST_PIXELS:
        raise _failed(f"a picture of {media.width}x{media.height} is more than its {MOST_PIXELS} pixels")
    request = {
        "task": task,
        "path": os.path.abspath(path),
        "format": _DEMUXERS[media.container or ""],
        "track": media.picture.track,
        "turn": media.picture.turn,
        "at": None if media.duration_s is None else media.duration_s * _POSTER_AT,
        "pixels": MOST_PIXELS,
        "frames": MOST_FRAMES,
        "memory": MOST_MEMORY,
        "cpu": CPU_SECONDS[task],
        "sys_path": [entry for entry in sys.path if os.path.isabs(entry)],
    }
    with _AT_ONCE:
        answer, image = _run(json.dumps(request).encode(), WALL_SECONDS[task])
    kind, text = answer.get("refused"), printable(str(answer.get("text", "")), 300)
    if kind == "decode":
        raise rejected(f"It cannot be decoded: {text}", "decode")
    if kind == "missing":
        raise _failed(f"PyAV cannot be imported ({text})", remedy=_INSTALL)
    if kind is not None:
        raise _failed(text)
    return answer, image


def _run(request: bytes, seconds: float) -> tuple[dict[str, Any], bytes]:
    """Start the decoder, give it the request, and take its answer; it is gone when this returns, whatever happens."""
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    try:
        process = subprocess.Popen(  # noqa: S603 - our own program by this Python, the request goes through a pipe
            # isolated: neither the environment nor the directory says what is imported, the request does
            [sys.executable, "-I", str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={**environment, "LC_ALL": "C.UTF-8", "MALLOC_ARENA_MAX": "2"},
        )
    except (OSError, ValueError) as failed:
        raise _failed(f"it cannot be started: {failed}", again=True) from failed
    source, sink = cast("IO[bytes]", process.stdout), cast("IO[bytes]", process.stdin)
    data: bytes | None = None
    try:
        with suppress(BrokenPipeError), sink:
            sink.write(request)  # a page or two: less than a pipe takes at once
        data = _read(source, time.monotonic() + seconds)
        if data is not None and len(data) <= MOST_ANSWER:
            process.wait(_LAST_SECONDS)
    except subprocess.TimeoutExpired:
        pass  # it has answered, and does not end
    finally:
        process.kill()
        process.wait()
        source.close()
    if data is None:
        raise _failed(f"it was not ready after {seconds:.0f} s", again=True)
    if len(data) > MOST_ANSWER:
        raise _failed(f"its answer is longer than {MOST_ANSWER} bytes")
    line, _, image = data.partition(b"\n")
    try:
        answer = json.loads(line)
        if isinstance(answer, dict) and answer["bytes"] == len(image):
            return answer, image
    except (ValueError, KeyError, RecursionError):
        pass
    raise _ended(process.returncode)


def _read(source: IO[bytes], deadline: float) -> bytes | None:
    """All that comes, up to the largest answer; None where its end does not come in time."""
    data = bytearray()
    with selectors.DefaultSelector() as ready:
        ready.register(source, selectors.EVENT_READ)
        while len(data) <= MOST_ANSWER:
            if not ready.select(max(0.0, deadline - time.monotonic())):
                return None
            piece = os.read(source.fileno(), 1 << 16)
            if not piece:
                break
            data += piece
    return bytes(data)


def _ended(code: int) -> OutputRejectedError:
    """The error for a decoder that went without an answer."""
    if code == -signal.SIGXCPU:
        return _failed("it needs more seconds of CPU than it may have")
    if code == -signal.SIGKILL:
        return _failed("the machine killed it, most likely for want of memory", again=True)
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"code {code}"
    return _failed(f"it crashed ({name})")


def _failed(what: str, *, remedy: str = "Let another worker do it", again: bool = False) -> OutputRejectedError:
    """The error for a decoder that says nothing about the file.

    :param again: Whether the same worker may come further at another time.
    """
    return OutputRejectedError(
        f"The decoder could not decode the video: {what}.",
        reason="decoder",
        remedy=f"The container is whole. {remedy}, or land it without poster and with verify='container': run the "
        "download again, the job is not bought again.",
        keep=True,
        retryable=again,
    )
