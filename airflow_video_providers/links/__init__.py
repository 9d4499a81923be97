"""Links on a task: the model's documentation, and what was landed."""
