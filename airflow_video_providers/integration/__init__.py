"""What joins core and Airflow: adapters, metrics, lineage, retries."""
