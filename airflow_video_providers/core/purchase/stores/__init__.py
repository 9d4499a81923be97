"""Where the ledger keeps its records."""
