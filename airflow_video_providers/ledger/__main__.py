"""``python -m airflow_video_providers.ledger``: see :mod:`airflow_video_providers.ledger.cli`."""

import sys

from airflow_video_providers.ledger.cli import main

if __name__ == "__main__":
    sys.exit(main())
