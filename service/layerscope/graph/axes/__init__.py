"""Axes of all taps: what each axis of a value counts, found by following the graph from the inputs."""
