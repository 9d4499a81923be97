"""Typed requests of each vendor, by the names that users import."""
