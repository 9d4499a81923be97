"""When to poll, what an answer means, and one poller for all jobs of a connection."""
