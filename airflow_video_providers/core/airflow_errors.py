"""The one spot below ``hooks/`` that looks for Airflow: the bases of the error tree.

``soft_fail``, ``never_fail`` and Airflow's own bookkeeping only act on exceptions that derive from
``AirflowException``; the client must work in a notebook without Airflow all the same.
"""

from __future__ import annotations

try:
    from airflow.providers.common.compat.sdk import AirflowException, AirflowSensorTimeout
except ModuleNotFoundError:  # no Airflow in this environment: plain exceptions do

    class AirflowException(Exception):  # type: ignore[no-redef]
        """Stands in for Airflow's own base."""

    class AirflowSensorTimeout(AirflowException):  # type: ignore[no-redef]
        """Stands in for Airflow's own sensor time-out."""


__all__ = ["AirflowException", "AirflowSensorTimeout"]
