"""Decides about money: what was bought, what may be bought, and what is left to do by hand."""
