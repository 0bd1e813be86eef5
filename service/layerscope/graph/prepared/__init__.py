"""Prepared models: a traced graph, its weights and its taps as data."""
