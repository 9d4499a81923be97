"""The ledger's stand-ins, as fixtures."""

from tests.support.ledger import _log_of_the_test, accessor, ledger, make_task, store, task, vendor

__all__ = ["_log_of_the_test", "accessor", "ledger", "make_task", "store", "task", "vendor"]
