"""What the ledger says about money: what was spent, whether an invoice agrees, and a file that proves it."""
