"""What a vendor shows of the jobs that it was asked for: what a submit without an answer is found by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

#: No history is read for longer; what is not read whole answers nothing.
MOST_PAGES = 100


class Shown(NamedTuple):
    """One job in a vendor's history.

    :param created_at: When the vendor was asked for it (UTC).
    :param body: The body of its submit, in the form in which it was sent, but without a callback's address. None where the vendor does not
        show it (any more): then nobody knows whose the job is.
    :param certain: False where the vendor does not say whether the job is one of the model that was asked about: it may be.
    """

    request_id: str
    created_at: datetime
    body: Any
    certain: bool = True
