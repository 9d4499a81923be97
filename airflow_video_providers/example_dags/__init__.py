"""DAGs to read, to copy and to run: each stands on a page of the docs and runs in CI against the simulator."""
