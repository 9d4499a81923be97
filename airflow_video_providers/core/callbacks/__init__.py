"""Callbacks: where a vendor calls, what names the purchase there, and what of a call is believed."""
