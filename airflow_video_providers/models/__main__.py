"""``python -m airflow_video_providers.models``: see :mod:`airflow_video_providers.integration.models_cli`."""

import sys

from airflow_video_providers.integration.models_cli import main

if __name__ == "__main__":
    sys.exit(main())
