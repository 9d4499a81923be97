"""The program that decodes foreign bytes: PyAV alone, in a process of its own, with limits and without secrets.

It is started by ``media`` as a file, never imported by the package, and imports nothing of it: neither Airflow nor
a connection is in its memory. It reads one request as JSON from its standard input and answers on its standard
output with a line of JSON, and with the bytes of a picture behind it where one was asked for.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from fractions import Fraction
from typing import Any

_THREADS = 2
_LONGEST_TEXT = 300
_NEARLY = 0.75


class Refused(Exception):
    """The answer is no.

    :param kind: ``"decode"`` where the file is to blame, ``"unable"`` where it asks for more than there is here,
        ``"missing"`` where PyAV is.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def main() -> None:
    """Answer one request."""
    out = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a library's own words are no answer
    request = json.load(sys.stdin)
    limit(request["memory"], request["cpu"])
    sys.path[:] = request["sys_path"]
    picture = b""
    try:
        answer, picture = _answer(request)
    except (Refused, MemoryError) as failed:
        answer = {"refused": getattr(failed, "kind", "unable"), "text": str(failed)[:_LONGEST_TEXT]}
        # an allocation that fails inside a library comes out as any error: as damaged pictures, too
        if isinstance(failed, MemoryError) or _most_memory_used() > _NEARLY * request["memory"]:
            answer = {"refused": "unable", "text": "the memory that it may have is not enough"}
    with os.fdopen(out, "wb") as stream:
        stream.write(json.dumps({**answer, "bytes": len(picture)}).encode() + b"\n" + picture)


def limit(memory: int, cpu: int) -> None:
    """Bound this process: memory, seconds of CPU, and no file may be written."""
    bounds = {"RLIMIT_AS": memory, "RLIMIT_CPU": cpu, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0, "RLIMIT_NOFILE": 64}
    for name, most in bounds.items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (most, hard if name == "RLIMIT_CPU" else most))
        except (ValueError, OSError):  # a system that knows the limit and does not keep it
            continue


def _most_memory_used() -> int:
    """Bytes of address space; 0 where the system does not say."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            return next((int(line.split()[1]) * 1024 for line in status if line.startswith("VmPeak:")), 0)
    except OSError:
        return 0


def _answer(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    try:
        import av
    except ImportError as missing:
        raise Refused("missing", str(missing)) from missing
    av.logging.set_level(None)
    try:
        if request["task"] == "decode":
            return _decode(av, request), b""
        return _poster(av, request)
    except av.MemoryError as small:
        raise MemoryError from small
    except av.FFmpegError as failed:
        # not its text as a whole: the path of a temporary file says nothing to a reader
        raise Refused("decode", failed.strerror or type(failed).__name__) from failed
    except ValueError as unknown:  # a codec that this build has no decoder for
        raise Refused("unable", f"it has no decoder for this codec ({unknown})") from unknown


def _open(av: Any, request: dict[str, Any]) -> tuple[Any, Any]:
    # the demuxer is named and may read this file only: the file's text must not choose what is opened next
    options = {"protocol_whitelist": "file", "max_pixels": str(request["pixels"])}
    if request["format"] in ("mp4", "mov"):
        options["ignore_editlist"] = "1"  # every sample, also those that an edit leaves out
    container = av.open(request["path"], format=request["format"], options=options)
    pictures = [stream for stream in container.streams.video if stream.id == request["track"]]
    stream = next(iter(pictures or container.streams.video), None)
    if stream is None:
        raise Refused("decode", "there is no picture in it")
    if stream.codec_context is None:
        raise Refused("unable", "it has no decoder for this codec")
    if stream.codec_context.width * stream.codec_context.height > request["pixels"]:
        raise Refused("unable", f"a picture of {stream.codec_context.width}x{stream.codec_context.height} is too large")
    stream.codec_context.options = {"err_detect": "explode", "max_pixels": str(request["pixels"])}
    stream.codec_context.thread_count = _THREADS
    stream.thread_type = "AUTO"
    return container, stream


def _decode(av: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Every frame; each of an interlaced film may be two of the container's samples."""
    frames = fields = 0
    container, stream = _open(av, request)
    with container:
        try:
            for frame in container.decode(stream):
                frames += 1
                fields += 2 if frame.interlaced_frame else 1
                if frame.is_corrupt:
                    raise Refused("decode", f"frame {frames} is damaged")
                if frames > request["frames"]:
                    raise Refused("unable", f"it has more than {request['frames']} frames")
        except av.FFmpegError as failed:
            if isinstance(failed, av.MemoryError):
                raise
            raise Refused("decode", f"after {frames} frames: {failed.strerror}") from failed
    return {"frames": frames, "samples": fields}


def _poster(av: Any, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    frame = _frame_at(av, request, request["at"]) or _frame_at(av, request, None)
    if frame is None:
        raise Refused("decode", "no frame comes out of it")
    frame = _turned(av, frame, request["turn"])
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = frame.width, frame.height
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 25)
    encoder.options = {"qmin": "2", "qmax": "4", "strict": "unofficial"}
    image = frame.reformat(format="yuvj420p")
    image.pts = None
    data = b"".join(bytes(packet) for packet in [*encoder.encode(image), *encoder.encode(None)])
    return {"width": frame.width, "height": frame.height}, data


def _frame_at(av: Any, request: dict[str, Any], seconds: float | None) -> Any:
    """The first frame from there on, None if there is none: a sound may go on behind the last picture."""
    container, stream = _open(av, request)
    with container:
        try:
            if seconds is not None and stream.time_base:
                container.seek(int(seconds / stream.time_base), stream=stream)
            return next(container.decode(stream), None)
        except av.FFmpegError:
            if seconds is None:
                raise
            return None


def _turned(av: Any, frame: Any, turn: str) -> Any:
    """The frame as a player shows it."""
    if not turn:
        return frame
    graph = av.filter.Graph()
    last = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format.name, time_base=Fraction(1, 25))
    for step in turn.split(","):
        name, _, arguments = step.partition("=")
        following = graph.add(name, arguments or None)
        last.link_to(following)
        last = following
    last.link_to(graph.add("buffersink"))
    graph.configure()
    graph.push(frame)
    return graph.pull()


if __name__ == "__main__":
    main()
