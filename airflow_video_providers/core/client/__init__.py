"""The drivers that run a vendor's flow over HTTP."""
