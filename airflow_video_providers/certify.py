"""``python -m airflow_video_providers.certify``: see :mod:`airflow_video_providers.integration.certify_cli`."""

import sys

from airflow_video_providers.integration.certify_cli import main

if __name__ == "__main__":
    sys.exit(main())
