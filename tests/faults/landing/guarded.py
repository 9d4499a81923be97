"""Storages that allow less than an emulator does: the same bucket, behind a filter that answers as S3 would."""

from __future__ import annotations

import copy
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.faults.landing.cases import CLIP, Fault
from tests.storage.emulators import BUCKET
from tests.storage.filters import Asked, Rule, filtered, s3_error

if TYPE_CHECKING:
    from collections.abc import Iterator


def may_not_list(asked: Asked) -> Any:
    """Without s3:ListBucket a bucket cannot be looked at, and of a missing key nothing is said."""
    if not asked.key or (asked.status == 404 and asked.method in ("GET", "HEAD")):
        return s3_error(403, "AccessDenied")
    return None


def no_create_only(asked: Asked) -> Any:
    """An S3-compatible storage that does not know conditional writes."""
    return s3_error(501, "NotImplemented") if "if-none-match" in asked.headers else None


def sound(exchange: Any) -> None:
    exchange.whole(CLIP)


#: The file server does well here; the storage is what is narrow.
GUARDED: list[tuple[Fault, Rule]] = [
    (Fault("S3: a role that may not list", sound, lands=CLIP), may_not_list),
    (Fault("S3: no create-only writes", sound, reason="storage"), no_create_only),
]


@contextmanager
def behind(rule: Rule, s3: Any) -> Iterator[Any]:
    """The bucket as somebody sees it whom a rule binds; what is stored is still read past the filter."""
    with filtered(s3.endpoint, rule) as endpoint:
        narrow = copy.copy(s3)
        name = f"s3_{rule.__name__}"
        narrow.root = f"s3://{name}@{BUCKET}"
        extra = {
            "region_name": "us-east-1",
            "endpoint_url": endpoint,
            "config_kwargs": {"retries": {"max_attempts": 1}},
        }
        connection = {"conn_type": "aws", "login": "testing", "password": "testing", "extra": extra}
        os.environ[f"AIRFLOW_CONN_{name.upper()}"] = json.dumps(connection)
        yield narrow
