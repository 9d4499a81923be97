"""From an address to a verified file and its manifest."""
