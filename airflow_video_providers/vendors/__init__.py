"""One file per vendor: its models, its requests built, its answers parsed. No input or output happens here."""
