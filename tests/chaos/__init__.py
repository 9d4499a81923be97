"""``make chaos``: a whole Airflow on PostgreSQL, Redis and Celery, killed on purpose while it buys."""
