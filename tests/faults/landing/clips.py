"""Small films made of bytes, so that a test says exactly what is in them."""

from __future__ import annotations

import random
import struct


def noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)  # noqa: S311 - the same in every run, and no secret


def box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + name + body


def full(name: bytes, *parts: bytes, version: int = 0) -> bytes:
    return box(name, bytes([version, 0, 0, 0]), *parts)


def video_track(offset: int, *, frames: int = 120, ticks: int = 24, width: int = 848, height: int = 480) -> bytes:
    avcc = box(b"avcC", b"\x01\x64\x00\x1f\xff\xe1")
    entry = box(
        b"avc1", bytes(24), struct.pack(">HH", width, height), bytes(50), avcc
    )  # 8 + 24 puts width at byte 32, 8 + 24 + 4 + 50 puts the children at byte 86
    table = box(
        b"stbl",
        full(b"stsd", struct.pack(">I", 1), entry),
        full(b"stts", struct.pack(">III", 1, frames, 1)),
        full(b"stco", struct.pack(">II", 1, offset)),
    )
    media = box(
        b"mdia",
        full(b"mdhd", struct.pack(">IIII", 0, 0, ticks, frames), bytes(4)),
        full(b"hdlr", bytes(4), b"vide", bytes(13)),
        box(b"minf", table),
    )
    return box(b"trak", full(b"tkhd", bytes(80)), media)


def mp4(payload: int = 300_000, *, seed: int = 1, brand: bytes = b"isom", faststart: bool = True) -> bytes:
    """Five seconds of 848x480 at 24 frames, 5.0 s long, whose pictures are noise.

    :param faststart: With the index in front, as the web likes it, so that a cut film still looks sound.
    """
    ftyp = box(b"ftyp", brand, bytes(4), brand, b"mp41")
    mdat = box(b"mdat", noise(payload, seed))

    def moov(offset: int) -> bytes:
        return box(b"moov", full(b"mvhd", struct.pack(">IIII", 0, 0, 1000, 5000), bytes(80)), video_track(offset))

    if faststart:
        at = len(ftyp) + len(moov(0)) + 8
        return ftyp + moov(at) + mdat
    return ftyp + mdat + moov(len(ftyp) + 8)


def element(name: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return name.to_bytes((name.bit_length() + 7) // 8) + (len(body) | 1 << 56).to_bytes(8) + body


def webm(payload: int = 100_000, *, doctype: bytes = b"webm", seed: int = 1) -> bytes:
    """Five seconds of 640x360 at 25 frames."""
    head = element(0x1A45DFA3, element(0x4282, doctype))
    info = element(0x1549A966, element(0x2AD7B1, (1_000_000).to_bytes(3)), element(0x4489, struct.pack(">d", 5000.0)))
    picture = element(0xE0, element(0xB0, (640).to_bytes(2)), element(0xBA, (360).to_bytes(2)))
    track = element(
        0xAE,
        element(0x83, b"\x01"),
        element(0x86, b"V_VP9"),
        element(0x23E383, (40_000_000).to_bytes(4)),
        picture,
    )
    clusters = [element(0x1F43B675, element(0xA3, noise(payload // 2, seed + n))) for n in range(2)]
    return head + element(0x18538067, info, element(0x1654AE6B, track), *clusters)


HTML = b"<!DOCTYPE html><html><head><title>Service unavailable</title></head><body>Try later.</body></html>" * 20
