"""The ledger's stand-ins, as fixtures: the adapters are shown on them."""

from tests.support.accounts import full_ledger
from tests.support.ledger import _log_of_the_test, accessor, ledger, make_task, store, task, vendor

__all__ = ["_log_of_the_test", "accessor", "full_ledger", "ledger", "make_task", "store", "task", "vendor"]
