"""Each triggerer by a name of its own, so that the database tells which one holds a job."""

import os


def name() -> str:
    """For Airflow's ``hostname_callable``."""
    return os.environ["CHAOS_HOST"]
