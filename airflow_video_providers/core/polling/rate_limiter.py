"""How many requests a connection may send, and when the next one may go. Pure: the time is an argument."""

from __future__ import annotations

#: A minute's requests are spread over a little more than a minute, so that half a second's worth of catching up
#: after a late wake-up still fits the vendor's limit.
MINUTE = 60.75
CATCH_UP = 0.5
#: A refusal halves the rate, down to this share of the budget at most.
LOWEST_SHARE = 1 / 16
#: The share of the budget that comes back in each minute without a refusal.
RECOVERY = 0.1
#: How long nothing is sent after a refusal that names no time, and how long at most after one that does.
PAUSE = 10.0
LONGEST_PAUSE = 600.0


class RateLimiter:
    """Paces the requests of one connection.

    :param per_minute: What the connection says, or the vendor's class.
    """

    def __init__(self, per_minute: float) -> None:
        self.per_minute = per_minute
        self._share = 1.0
        self._share_at = float("-inf")
        self._next = float("-inf")

    def next_at(self) -> float:
        """When the next request may go."""
        return self._next

    def share(self, now: float) -> float:
        """How much of the budget is used: 1 unless the vendor refused requests not long ago."""
        return min(1.0, self._share + max(0.0, now - self._share_at) / 60.0 * RECOVERY)

    def spend(self, now: float, requests: int = 1) -> None:
        """So many requests are sent now."""
        gap = MINUTE / (self.per_minute * self.share(now))
        self._next = max(self._next, now - CATCH_UP) + requests * gap

    def refused(self, now: float, retry_after: float | None) -> None:
        """The vendor answered 429: pause as it asks, and go on more slowly.

        Requests that were on their way together are refused together, and count as one refusal.
        """
        if now > self._share_at:
            self._share = max(LOWEST_SHARE, self.share(now) / 2)
        pause = min(PAUSE if retry_after is None else retry_after, LONGEST_PAUSE)
        self._share_at = max(self._share_at, now + pause)
        self._next = max(self._next, now + pause)
