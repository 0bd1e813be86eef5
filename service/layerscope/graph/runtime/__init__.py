"""Runtime: plans that are compiled and run."""
