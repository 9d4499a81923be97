"""``python -m tests.faults.money``: what each fault of a submit costs, in real task processes."""
