"""``python -m airflow_video_providers.simulator``."""

from airflow_video_providers.testing.simulator.__main__ import main

if __name__ == "__main__":
    raise SystemExit(main())
