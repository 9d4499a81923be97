"""What helps people test: the simulator, the conformance suite, a pytest plugin."""
