"""``python -m airflow_video_providers.ledger``: see :mod:`airflow_video_providers.integration.ledger_cli`."""

import sys

from airflow_video_providers.integration.ledger_cli import main

if __name__ == "__main__":
    sys.exit(main())
