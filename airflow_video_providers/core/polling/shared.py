"""One poller per event loop and connection, shared by all jobs that wait there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow_video_providers.core.polling.listener import NO_LISTENER
from airflow_video_providers.core.polling.poller import Poller
from airflow_video_providers.core.polling.rate_limiter import RateLimiter
from airflow_video_providers.core.polling.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Hashable

    from airflow_video_providers.core.polling.connection_cache import Connect
    from airflow_video_providers.core.polling.listener import Listener
    from airflow_video_providers.core.vendors.base import Vendor

_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, Poller]] = WeakKeyDictionary()
#: Outlive the pollers: a vendor that has asked for a pause means the next job, too ...
_budgets: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, RateLimiter]] = WeakKeyDictionary()
#: ... and callbacks that have arrived speak for the next one.
_trusts: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, Trust]] = WeakKeyDictionary()


def shared_poller(key: Hashable, connect: Connect, vendor: type[Vendor], *, listener: Listener = NO_LISTENER) -> Poller:
    """The running event loop's poller for this key. Begin to wait on it before anything else happens.

    :param key: What distinguishes one account from another: the connection's id and the vendor's.
    :param listener: Counts the polls of a new poller.
    """
    loop = asyncio.get_running_loop()
    known = _pollers.setdefault(loop, {})
    if key not in known:

        def forget() -> None:
            known.pop(key, None)
            if not known:
                _pollers.pop(loop, None)

        budget = _budgets.setdefault(loop, {}).setdefault(key, RateLimiter(vendor.requests_per_minute))
        trust = _trusts.setdefault(loop, {}).setdefault(
            key, Trust(str(key[-1]) if isinstance(key, tuple) else str(key))
        )
        known[key] = Poller(connect, vendor, budget=budget, trust=trust, on_idle=forget, listener=listener)
    return known[key]
