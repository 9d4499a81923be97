"""Operators: submit a video, and land it."""
