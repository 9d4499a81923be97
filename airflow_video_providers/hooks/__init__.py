"""Hooks: an Airflow connection and the vendor's API behind it."""
