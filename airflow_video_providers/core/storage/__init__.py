"""Where records and videos are stored."""
