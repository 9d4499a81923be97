"""Sensors: wait for a video."""
