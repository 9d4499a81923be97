"""The pages in Airflow's UI: the clip on its task, the clips of a run, and what needs a hand."""
