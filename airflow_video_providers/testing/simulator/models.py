"""The nine models, read from the vendors' documents and not from the package's own catalogue.

Where the documents are silent the simulator invents, and says so: prices other than Pixazo's Mochi and
PixVerse V6 image-to-video, the frame rate of PixVerse (24), and the size of Mochi's clips (848x480).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from .clip import ClipSpec
from .schema import Field, Model

Body = Mapping[str, Any]

_ASPECTS = ("16:9", "4:3", "1:1", "3:4", "9:16", "2:3", "3:2", "21:9")
_STYLES = ("anime", "3d_animation", "clay", "comic", "cyberpunk")
_PROMPT = Field("string", required=True)
_TEXT = Field("string")
_SWITCH = Field("boolean")
_SEED = Field("integer")
_DURATION = Field("integer", low=1, high=15)
_THINKING = Field("string", allowed=("enabled", "disabled", "auto"))
_FPS = 24


def _pixverse_clip(body: Body) -> ClipSpec:
    short = int(str(body.get("resolution", "720p")).rstrip("p"))
    across, down = (int(part) for part in str(body.get("aspect_ratio", "16:9")).split(":"))
    long = round(short * max(across, down) / min(across, down) / 2) * 2
    width, height = (long, short) if across >= down else (short, long)
    return ClipSpec(width, height, _FPS, int(body.get("duration", 5)) * _FPS)


def _mochi_clip(_body: Body) -> ClipSpec:
    return ClipSpec(848, 480, _FPS, 5 * _FPS)


def _segmind_clip(body: Body) -> ClipSpec:
    return ClipSpec(848, 480, float(body.get("fps", 16)), max(1, int(body.get("frames", 52))))


def _mock_clip(_body: Body) -> ClipSpec:
    return ClipSpec(320, 180, _FPS, _FPS)


def _invented(_body: Body) -> tuple[Decimal, str]:
    return Decimal("0.30"), "invented"


def _mochi_price(_body: Body) -> tuple[Decimal, str]:
    return Decimal("0.40"), "documented"


#: Price per second without and with audio; the document prints two rows and does not name them, and has none for 480p.
_V6_I2V = {
    "360p": ("0.025", "0.035"),
    "540p": ("0.035", "0.045"),
    "720p": ("0.045", "0.06"),
    "1080p": ("0.09", "0.115"),
}


def _v6_i2v_price(body: Body) -> tuple[Decimal, str]:
    row = _V6_I2V.get(str(body.get("resolution", "720p")))
    if row is None:
        return _invented(body)
    per_second = Decimal(row[1] if body.get("generate_audio_switch") else row[0])
    return per_second * int(body.get("duration", 5)), "documented; the second row read as 'with audio'"


def _mock_price(body: Body) -> tuple[Decimal, str]:
    return Decimal(str(body.get("credits", "0.01"))), "the request's own 'credits'"


def _pixverse(api: str, fields: Mapping[str, Field], price: Any = _invented) -> Model:
    return Model(api, f"/{api}/v1/{api}-request", {"prompt": _PROMPT} | dict(fields), _pixverse_clip, price)


_IMAGE = Field("image", required=True)
_540 = Field("string", allowed=("360p", "540p", "720p", "1080p"))
#: The V6 image-to-video field lists 480p, its price list 540p: both are taken.
_480_OR_540 = Field("string", allowed=("360p", "480p", "540p", "720p", "1080p"))
_V6_COMMON = {
    "negative_prompt": _TEXT,
    "duration": _DURATION,
    "style": Field("string", allowed=_STYLES),
    "seed": _SEED,
    "generate_audio_switch": _SWITCH,
    "generate_multi_clip_switch": _SWITCH,
    "thinking_type": _THINKING,
}
_V6_TEXT = {**_V6_COMMON, "aspect_ratio": Field("string", allowed=_ASPECTS), "resolution": _540}

PIXAZO_MOCHI = Model(
    "68a5784c0828c041ba519ca6",
    "/mochi-v1-clone/generate",
    {"prompt": _PROMPT, "seed": Field("integer", low=1, high=4294967296)},
    _mochi_clip,
    _mochi_price,
    mochi=True,
)

PIXAZO = (
    PIXAZO_MOCHI,
    _pixverse("pixverse-v6-text-to-video", _V6_TEXT),
    _pixverse(
        "pixverse-v6-image-to-video", {**_V6_COMMON, "image_url": _IMAGE, "resolution": _480_OR_540}, _v6_i2v_price
    ),
    _pixverse("pixverse-c1-text-to-video", _V6_TEXT),
    _pixverse(
        "pixverse-c1-image-to-video",
        {
            "image_url": _IMAGE,
            "resolution": _540,
            "duration": _DURATION,
            "seed": _SEED,
            "generate_audio_switch": _SWITCH,
        },
    ),
    _pixverse(
        "pixverse",
        {
            "negative_prompt": _TEXT,
            "aspect_ratio": Field("string", required=True, allowed=("16:9", "9:16", "1:1", "4:3", "3:4")),
            "resolution": Field("string", required=True, allowed=("720p", "1080p", "2160p")),
            "duration": Field("integer", required=True, allowed=(3, 5, 7, 10)),
        },
    ),
    _pixverse(
        "pixverse-i2v",
        {
            "image_url": _IMAGE,
            "negative_prompt": _TEXT,
            "resolution": Field("string", required=True, allowed=("720p", "1080p")),
            "duration": Field("string", required=True, allowed=("5", "10")),
        },
    ),
)

APPYPIE_MOCHI = Model(
    "mochi-1",
    "/fal-ai-mochi-v1/v1/generate",
    {"prompt": _PROMPT, "seed": Field("integer", low=1, high=9_999_999_999)},
    _mochi_clip,
    _invented,
    mochi=True,
)

SEGMIND = (
    Model(
        "mochi-1",
        "/v2/mochi-1",
        {
            "prompt": _PROMPT,
            "negative_prompt": _TEXT,
            "guidance_scale": Field("number", low=2, high=10),
            "fps": Field("number", low=7, high=30),
            "steps": Field("integer", low=10, high=75),
            "seed": _SEED,
            "frames": Field("number", low=1, high=160),
        },
        _segmind_clip,
        _invented,
        mochi=True,
    ),
    Model(
        "mock-inference",
        "/v2/mock-inference",
        {"sleep": Field("number"), "credits": Field("number"), "prompt": _TEXT},
        _mock_clip,
        _mock_price,
    ),
)
