"""Foreign bytes are decoded in a process of their own; what goes wrong there is told, and takes nothing along."""

from __future__ import annotations

import json
import multiprocessing
import os
import struct
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import pytest

from airflow_video_providers.core.errors import InvalidRequestError, OutputRejectedError
from airflow_video_providers.core.landing import decode as media
from airflow_video_providers.core.landing.media_info import EXTENSIONS, MediaInfo
from airflow_video_providers.core.landing.verify import Inspector
from tests.support.films import HEIGHT, WIDTH, at_box, film, open_ended, rotated

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow


def stored(directory: Path, data: bytes) -> tuple[str, MediaInfo]:
    path = directory / "clip"
    path.write_bytes(data)
    inspector = Inspector(tuple(EXTENSIONS))
    inspector.feed(data)
    return str(path), inspector.close()


def refused(path: str, info: MediaInfo) -> OutputRejectedError:
    with pytest.raises(OutputRejectedError) as raised:
        media.decode(path, info)
    assert raised.value.keep
    assert str(path) not in str(raised.value)
    return raised.value


@pytest.mark.parametrize(
    ("made", "frames"),
    [
        (lambda: film(), 24),
        (lambda: film("libx265"), 24),
        (lambda: film("libsvtav1"), 24),
        (lambda: film("libvpx-vp9"), 24),
        (lambda: film(container="mov"), 24),
        (lambda: film("libvpx-vp9", container="webm"), 24),
        (lambda: film("libsvtav1", container="webm"), 24),
        (lambda: film(sound=8.0), 24),
        (lambda: film(sound=8.0, flags="faststart"), 24),
        (lambda: film("libvpx-vp9", container="webm", sound=8.0), 24),
        (lambda: film(late=1.5, sound=4.0), 24),
        (lambda: film(rate_changes=True), 24),
        (lambda: film(b_frames=2), 24),
        (lambda: film(flags="frag_keyframe+empty_moov+default_base_moof", sound=3.0), 24),
        (lambda: film(flags="dash+global_sidx+frag_keyframe"), 24),
        (lambda: film() + b"trailing bytes of something else", 24),
        (lambda: open_ended(film(flags="faststart", sound=3.0)), 24),
        (lambda: rotated(film(), 90), 24),
    ],
)
def test_a_sound_film_is_decoded_whole_and_has_a_poster(made: Callable[[], bytes], frames: int, tmp_path: Path) -> None:
    data = made()
    path, info = stored(tmp_path, data)
    assert media.decode(path, info) == frames
    image, width, height = media.poster(path, info)
    assert (width, height) == (info.width, info.height)
    assert (image[:2], image[-2:]) == (b"\xff\xd8", b"\xff\xd9")


def test_what_an_edit_list_leaves_out_is_decoded_and_counted(tmp_path: Path) -> None:
    data = film(b_frames=2)
    at = at_box(data, b"elst") + 16
    # half a second of two is shown, and it begins in the middle
    media_start = int.from_bytes(data[at + 4 : at + 8]) + 12_800
    edited = data[:at] + struct.pack(">II", 500, media_start) + data[at + 8 :]
    path, info = stored(tmp_path, edited)
    with av.open(path) as container:
        assert len(list(container.decode(video=0))) < 20, "the edit list does nothing"
    assert media.decode(path, info) == 24


def brightness(image: bytes) -> list[float]:
    """Of the top left, top right, bottom left and bottom right quarter."""
    decoder = av.CodecContext.create("mjpeg", "r")
    (frame,) = decoder.decode(av.Packet(image))
    grey = frame.reformat(format="gray")
    plane = bytes(grey.planes[0])
    stride = grey.planes[0].line_size

    def at(x: float, y: float) -> float:
        return plane[int(y * grey.height) * stride + int(x * grey.width)]

    return [at(x, y) for y in (0.25, 0.75) for x in (0.25, 0.75)]


@pytest.mark.parametrize(
    ("degrees", "dark"),
    [(0, (True, False, True, False)), (90, (True, True, False, False)), (180, (False, True, False, True)),
     (270, (False, False, True, True))],
)  # fmt: skip
def test_a_poster_is_turned_as_players_turn_the_film(degrees: int, dark: tuple[bool, ...], tmp_path: Path) -> None:
    image, width, height = media.poster(*stored(tmp_path, rotated(film(), degrees)))
    assert (width, height) == ((HEIGHT, WIDTH) if degrees in (90, 270) else (WIDTH, HEIGHT))
    assert tuple(value < 128 for value in brightness(image)) == dark


def test_a_picture_that_ends_before_the_tenth_of_a_long_sound_has_a_poster(tmp_path: Path) -> None:
    image, _, _ = media.poster(*stored(tmp_path, film(seconds=0.25, sound=8.0)))
    assert image.startswith(b"\xff\xd8")


def test_damaged_pictures_are_refused_and_kept(tmp_path: Path) -> None:
    data = film(seconds=4.0)
    at = at_box(data, b"mdat") + 60
    path, info = stored(tmp_path, data[:at] + b"\xa5" * 1200 + data[at + 1200 :])
    error = refused(path, info)
    assert (error.reason, error.retryable) == ("decode", False)


def test_a_webm_that_a_demuxer_steps_over_is_refused_and_kept(tmp_path: Path) -> None:
    data = film("libvpx-vp9", container="webm", seconds=6.0)
    at = data.index(bytes.fromhex("1f43b675")) + 200
    path, info = stored(tmp_path, data[:at] + bytes(400) + data[at + 400 :])
    assert info.remarks == ("a part of its pictures or sound cannot be read",)
    assert refused(path, info).reason == "decode"
    assert media.poster(path, info)[1:] == (WIDTH, HEIGHT)


def test_fewer_pictures_than_the_index_has_are_refused(tmp_path: Path) -> None:
    path, info = stored(tmp_path, film())
    more = replace(info, picture=replace(info.picture, frames=30))
    assert "24 frames can be decoded, and its index has 30" in str(refused(path, more))
    assert media.decode(path, replace(info, picture=replace(info.picture, frames=None))) == 24


def test_a_codec_without_a_decoder_is_refused_and_kept(tmp_path: Path) -> None:
    path, info = stored(tmp_path, film().replace(b"avc1", b"zzzz"))
    error = refused(path, info)
    assert (error.reason, "no decoder for this codec" in str(error)) == ("decoder", True)


def test_a_picture_too_large_is_refused_before_any_decoder_has_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, info = stored(tmp_path, film())
    huge = replace(info, width=8192, height=8192)
    with monkeypatch.context() as patched_program:
        patched_program.setattr(media, "_PROGRAM", tmp_path / "never started")
        assert "8192x8192" in str(refused(path, huge))
    # and where the container says less than the pictures
    monkeypatch.setattr(media, "MOST_PIXELS", WIDTH * HEIGHT - 1)
    error = refused(path, replace(info, width=10, height=10))
    assert (error.reason, error.retryable) == ("decoder", False)


def test_more_frames_than_anybody_makes_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "MOST_FRAMES", 23)
    error = refused(*stored(tmp_path, film()))
    assert (error.reason, "more than 23 frames" in str(error)) == ("decoder", True)


@pytest.mark.parametrize("megabytes", [125, 140, 150])
def test_a_decoder_short_of_memory_says_so(megabytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, info = stored(tmp_path, film(size=(1920, 1080), seconds=0.5))
    monkeypatch.setattr(media, "MOST_MEMORY", megabytes * 1024 * 1024)
    error = refused(path, info)
    assert (error.reason, "memory" in str(error)) == ("decoder", True), str(error)


def test_a_decoder_short_of_cpu_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "CPU_SECONDS", {"decode": 0})
    error = refused(*stored(tmp_path, film()))
    assert (error.reason, error.retryable) == ("decoder", False)
    assert "CPU" in str(error)


def program(directory: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Another program in the decoder's place."""
    path = directory / "program.py"
    path.write_text(f"import json, os, signal, sys\nrequest = json.load(sys.stdin)\n{text}\n")
    monkeypatch.setattr(media, "_PROGRAM", path)


@pytest.mark.parametrize(
    ("text", "what", "retryable"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "it crashed (SIGSEGV)", False),
        ("os.kill(os.getpid(), signal.SIGKILL)", "the machine killed it", True),
        ("os._exit(3)", "it crashed (code 3)", False),
        ("print('not JSON')", "it crashed (code 0)", False),
        ("print('[' * 100000)", "it crashed (code 0)", False),
        ("print(json.dumps({'frames': 24, 'samples': 24, 'bytes': 7}))", "it crashed (code 0)", False),
        ("print(json.dumps({'frames': 'NaN', 'bytes': 0}))", "it answered without a number", False),
        ("print(json.dumps([]))", "it crashed (code 0)", False),
        ("sys.stdout.write('x' * 50_000_000)", "its answer is longer", False),
    ],
)
def test_a_decoder_that_goes_wrong_is_told_of_and_the_file_is_kept(
    text: str, what: str, retryable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, info = stored(tmp_path, film())
    program(tmp_path, monkeypatch, text)
    error = refused(path, info)
    assert (error.reason, what in str(error)) == ("decoder", True), str(error)
    assert error.retryable is retryable
    assert "run the download again" in str(error)


def test_a_decoder_that_never_answers_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, info = stored(tmp_path, film())
    program(tmp_path, monkeypatch, f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\nsignal.pause()")
    monkeypatch.setattr(media, "WALL_SECONDS", {"decode": 1.0})
    error = refused(path, info)
    assert (error.retryable, "not ready after 1 s" in str(error)) == (True, True)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_decoder_that_cannot_be_started_is_worth_another_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert refused(*stored(tmp_path, film())).retryable


def test_the_decoder_sees_no_credentials_and_imports_nothing_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PIXAZO", "secret-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-key")
    monkeypatch.setenv("PYTHONSTARTUP", "secret-key")
    path, info = stored(tmp_path, film())
    seen = tmp_path / "seen"
    real = media._PROGRAM
    program(
        tmp_path,
        monkeypatch,
        f"import io, runpy\nsys.stdin = io.StringIO(json.dumps(request))\n"
        f"with open({str(seen)!r}, 'w') as seen:\n"
        f"    scope = runpy.run_path({str(real)!r})\n    scope['limit'] = None\n"
        f"    scope['_answer'](request)\n"
        f"    json.dump([dict(os.environ), sorted(sys.modules), os.getcwd()], seen)",
    )
    with pytest.raises(OutputRejectedError):
        media.decode(path, info)
    environment, modules, directory = json.loads(seen.read_text())
    assert set(environment) <= {"LC_ALL", "MALLOC_ARENA_MAX", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"}
    assert "av" in modules
    assert [name for name in modules if name.startswith(("airflow", "httpx", "boto"))] == []
    assert directory == "/"


def test_the_decoder_may_write_no_file_and_has_its_limits(tmp_path: Path) -> None:
    text = (
        f"import runpy, resource, json\nscope = runpy.run_path({str(media._PROGRAM)!r})\nscope['limit'](10**9, 7)\n"
        "print(json.dumps([resource.getrlimit(k)[0] for k in (resource.RLIMIT_AS, resource.RLIMIT_CPU, "
        "resource.RLIMIT_FSIZE, resource.RLIMIT_CORE)]))"
    )
    ran = subprocess.run([sys.executable, "-I", "-c", text], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[1000000000, 7, 0, 0]"


def test_without_pyav_it_is_said_before_a_purchase_and_after_one_the_file_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, info = stored(tmp_path, film())
    with monkeypatch.context() as hidden:
        hidden.setattr(media, "_has_av", lambda: True)
        hidden.setattr(sys, "path", [])
        assert "PyAV cannot be imported" in str(refused(path, info))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InvalidRequestError, match=r"airflow-video-providers\[media\]"):
        media.require_av()
    error = refused(path, info)
    assert error.reason == "decoder"
    assert "airflow-video-providers[media]" in str(error)


def _in_a_daemon(path: str, info: MediaInfo, answers: Any) -> None:
    answers.put(media.decode(path, info))


def test_a_daemonic_process_may_decode(tmp_path: Path) -> None:
    """Celery's workers are such processes, and may have no children of multiprocessing."""
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    process = context.Process(target=_in_a_daemon, args=(*stored(tmp_path, film()), answers), daemon=True)
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert answers.get() == 24


@pytest.mark.parametrize("length", [Fraction(1, 3), Fraction(2, 3)])
def test_why_the_webm_walk_stays_a_decoder_takes_a_cut_film_for_whole(length: Fraction, tmp_path: Path) -> None:
    data = film("libvpx-vp9", container="webm", seconds=6.0)
    cut = data[: int(len(data) * length)]
    with pytest.raises(OutputRejectedError, match="cut"):
        stored(tmp_path, cut)
    with av.open(str(tmp_path / "clip"), format="matroska") as container:
        assert len(list(container.decode(video=0))) > 0
