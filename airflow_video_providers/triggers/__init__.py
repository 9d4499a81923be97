"""Waiting in the triggerer: one poller per event loop and connection, shared by all jobs that wait there."""
