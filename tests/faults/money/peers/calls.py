"""One paid call through one client, as its documentation shows it. Runs in the peers' own environment.

``calls.py <client> <address>``. The only option set is the time-out, where the default would last minutes.
"""

from __future__ import annotations

import os
import sys

TIMEOUT = 2.0
PROMPT = "a fox in the snow"


def segmind(url: str) -> None:
    from segmind import SegmindClient

    SegmindClient(api_key="SG_0123456789abcdef", base_url=f"{url}/v1", timeout=TIMEOUT).submit_async(
        "mochi-1", prompt=PROMPT
    )


def openai(url: str) -> None:
    from openai import OpenAI

    OpenAI(api_key="none", base_url=url, timeout=TIMEOUT).videos.create(prompt=PROMPT, model="sora-2")


def runwayml(url: str) -> None:
    from runwayml import RunwayML

    RunwayML(api_key="none", base_url=url, timeout=TIMEOUT).text_to_video.create(
        model="veo3.1", prompt_text=PROMPT, ratio="1280:720"
    )


def fal_client(url: str) -> None:
    os.environ["FAL_QUEUE_RUN_HOST"] = url.partition("://")[2]  # always spoken to in TLS
    from fal_client import SyncClient

    SyncClient(key="none:none", default_timeout=TIMEOUT).submit("fal-ai/mochi-v1", {"prompt": PROMPT})


def replicate(url: str) -> None:
    import httpx
    from replicate import Client

    Client(api_token="none", base_url=url, timeout=httpx.Timeout(TIMEOUT)).predictions.create(
        model="genmoai/mochi-1", input={"prompt": PROMPT}
    )


def this_package(url: str) -> None:
    import httpx

    from airflow_video_providers.core.client import client, timeouts
    from airflow_video_providers.core.vendors.segmind import Mochi1, Segmind

    timeouts.SUBMIT = httpx.Timeout(TIMEOUT)
    client.VideoClient(Segmind(url), "SG_0123456789abcdef", sleep=lambda _: None).submit(Mochi1(prompt=PROMPT))


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
