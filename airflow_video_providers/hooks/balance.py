"""What an account has left, where its vendor says: asked before a purchase by choice, and sent as a gauge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_video_providers.core.errors import (
    InsufficientCreditsError,
    InvalidRequestError,
    VendorUnavailableError,
)

if TYPE_CHECKING:
    from airflow_video_providers.hooks.connected import ConnectedHook


def refuse_low_balance(hook: ConnectedHook) -> None:
    """Nothing is bought with an account that has less left than ``min_remaining_credits`` of its connection's extra.

    :raises InvalidRequestError: the vendor does not say what an account has left, so that nobody could hold to it.
    :raises InsufficientCreditsError: it has less. Nothing was sent; with ``ledger_path`` the connection is on hold.
    :raises VendorError: the vendor did not say this time. Nothing was sent; a retry may help.
    """
    least = hook.settings.min_remaining_credits
    if least is None:
        return
    vendor = hook.vendor_class
    if not vendor.says_balance:
        raise InvalidRequestError(
            f"min_remaining_credits is set for the connection {hook.conn_id!r}, and {vendor.title} documents no call that "
            "says what an account has left.",
            remedy="Take it out of the connection's extra; a budget bounds what is spent.",
            vendor=vendor.id,
            field="min_remaining_credits",
        )
    left = hook.get_conn().balance()
    if left is None:
        raise VendorUnavailableError(
            f"{vendor.title} did not say what the account has left, and min_remaining_credits is set.",
            vendor=vendor.id,
            charged="no",
        )
    from airflow_video_providers.integration import metrics

    metrics.balance(vendor.id, hook.conn_id, left)
    if left < least:
        raise InsufficientCreditsError(
            f"The account of the connection {hook.conn_id!r} has {left} credits left; its extra asks for at least "
            f"{least:g} (min_remaining_credits).",
            remedy="Top up the account at the vendor, or lower min_remaining_credits.",
            vendor=vendor.id,
        )
