"""Faults on purpose: what happens to the money, and to the files."""
