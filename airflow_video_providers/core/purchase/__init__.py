"""The paid call, once, and the ledger of what was bought."""
