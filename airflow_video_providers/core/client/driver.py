"""Drive a vendor's flow: one definition of a verb, two ways to send what it yields."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

import httpx

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow_video_providers.core.vendors.base import Flow

T = TypeVar("T")


def with_jitter(seconds: float) -> float:
    """A pause between two tries, so that clients which failed together do not come back together."""
    return seconds * random.uniform(1.0, 1.2)  # noqa: S311 # spreads load, keeps no secret


def run(flow: Flow[T], send: Callable[[httpx.Request], httpx.Response], pause: Callable[[float], object]) -> T:
    """What the flow returns, in a worker."""
    try:
        step = next(flow)
        while True:
            if not isinstance(step, httpx.Request):
                pause(step)
                step = next(flow)
                continue
            try:
                response = send(step)
            except httpx.HTTPError as error:
                step = flow.throw(error)
            else:
                step = flow.send(response)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


async def arun(
    flow: Flow[T],
    send: Callable[[httpx.Request], Awaitable[httpx.Response]],
    pause: Callable[[float], Awaitable[object]],
) -> T:
    """What the flow returns, in an event loop."""
    try:
        step = next(flow)
        while True:
            if not isinstance(step, httpx.Request):
                await pause(step)
                step = next(flow)
                continue
            try:
                response = await send(step)
            except httpx.HTTPError as error:
                step = flow.throw(error)
            else:
                step = flow.send(response)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
