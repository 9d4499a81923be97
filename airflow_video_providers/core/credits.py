"""What an account has left, as a number."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

#: No account holds more; what is longer is no figure.
_MOST = Decimal(10) ** 15
_LONGEST = 40


def credits_of(text: str | None) -> Decimal | None:
    """The figure that a vendor writes; None where it is none that can be compared."""
    if text is None or len(text) > _LONGEST:
        return None
    try:
        left = Decimal(text.strip())
    except InvalidOperation:
        return None
    return left if left.is_finite() and abs(left) <= _MOST else None
