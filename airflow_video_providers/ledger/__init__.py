"""The ledger's command without Airflow's own: ``python -m airflow_video_providers.ledger``."""
