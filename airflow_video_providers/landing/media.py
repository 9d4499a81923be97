"""What needs a decoder: looking at every frame, and a poster. PyAV comes with the extra ``media``."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from airflow_video_providers.exceptions import InvalidRequestError, OutputRejectedError
from airflow_video_providers.landing.container import MediaInfo, rejected

if TYPE_CHECKING:
    from types import ModuleType

_DEMUXERS = {"mp4": "mp4", "mov": "mov", "webm": "matroska", "mkv": "matroska"}
_POSTER_AT = 0.1


def require_av() -> ModuleType:
    """PyAV, or an error that names the extra.

    :raises InvalidRequestError: if it is not installed. Nothing is charged for that.
    """
    try:
        import av
    except ImportError as missing:
        raise InvalidRequestError(
            "poster=True and verify='decode' need PyAV, which is not installed.",
            remedy="Install airflow-video-providers[media] on the workers, or do without.",
        ) from missing
    return av


def _open(path: str, media: MediaInfo) -> Any:
    # the demuxer is named and may read this file only: the file's text must not choose what is opened next
    return require_av().open(path, format=_DEMUXERS[media.container], options={"protocol_whitelist": "file"})


def decode(path: str, media: MediaInfo) -> int:
    """Decode every frame.

    :return: How many there are.
    :raises OutputRejectedError: if one cannot be decoded, or there is none.
    """
    av, frames = require_av(), 0
    try:
        with _open(path, media) as container:
            stream = container.streams.video[0]
            stream.codec_context.options = {"err_detect": "explode"}
            for frame in container.decode(stream):
                frames += 1
                if frame.is_corrupt:
                    raise rejected(f"Frame {frames} is damaged", "decode")
    except (av.FFmpegError, IndexError) as failed:
        raise rejected(f"After {frames} frames decoding fails: {failed}", "decode") from failed
    expected = round((media.duration_s or 0) * (media.fps or 0))
    if not frames or frames < 0.9 * expected:
        raise rejected(f"{frames} frames can be decoded, and the file promises {expected}", "decode")
    return frames


def poster(path: str, media: MediaInfo) -> tuple[bytes, int, int]:
    """A JPEG of one frame, a tenth into the clip: the first one is often black.

    :return: The image, its width and its height.
    :raises OutputRejectedError: if no frame can be decoded.
    """
    av = require_av()
    try:
        with _open(path, media) as container:
            stream = container.streams.video[0]
            if media.duration_s and stream.time_base:
                container.seek(int(media.duration_s * _POSTER_AT / stream.time_base), stream=stream)
            frame = next(container.decode(stream))
            encoder = av.CodecContext.create("mjpeg", "w")
            encoder.width, encoder.height = frame.width, frame.height
            encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 25)
            encoder.options = {"qmin": "2", "qmax": "4", "strict": "unofficial"}
            image = frame.reformat(format="yuvj420p")
            image.pts = None
            data = b"".join(bytes(packet) for packet in [*encoder.encode(image), *encoder.encode(None)])
    except (av.FFmpegError, IndexError, StopIteration) as failed:
        raise OutputRejectedError(
            f"No frame can be decoded for a poster: {failed}.", reason="decode", keep=True
        ) from failed
    return data, frame.width, frame.height
