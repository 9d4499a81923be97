"""What needs no Airflow: jobs, errors, vendors, clients, polling, purchase, landing, storage."""
