"""What stands in Airflow's API server: the pages in its UI. Nothing here is imported by a worker beside the plugin's class."""
