"""Progress of work that takes many runs."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Is called with the number of runs of an attribution, or of images of a comparison, that are done, and with their total."""
