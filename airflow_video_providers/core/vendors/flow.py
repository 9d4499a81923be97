"""A vendor's verb: a generator that yields requests, receives responses, and returns the verb's answer."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

import httpx

T = TypeVar("T")
#: A number instead of a request is a pause in seconds.
Flow = Generator[httpx.Request | float, httpx.Response, T]
