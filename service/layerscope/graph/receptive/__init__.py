"""Receptive fields: which part of a model's inputs a unit of a layer is computed from, read from the graph alone."""
