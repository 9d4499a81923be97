"""Which attempt a vendor's job belongs to: a record under vendor and id, created once, by whoever learns the id first.

Every id is written here before it is written to an attempt, so that one look-up says whether another attempt holds it.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_video_providers.core.purchase.records import Attempt, Key
    from airflow_video_providers.core.purchase.stores.base import Store

#: The kind of these records.
KIND = "named"
#: The ``v`` of attempts made since all ids are written here. What holds a job that is newer than such an attempt is found by
#: one look-up; for an older one all attempts have to be read.
ALL_ARE_NAMED = 2


def take(attempt: Attempt, store: Store, request_id: str) -> bool:
    """Write that this attempt has the id, once for all who may be given it at the same moment; False where another has it.

    Raises whatever the store does.
    """
    key: Key = (KIND, attempt.model.partition(":")[0], request_id)
    record = {"v": 1, "claim": uuid.uuid4().hex, "attempt": list(attempt.key), "request_id": request_id}
    return store.create(key, record) or (store.read(key) or {}).get("attempt") == list(attempt.key)
