"""One file per vendor, and what they share."""
