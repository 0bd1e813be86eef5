"""Receptive fields: which part of a model's inputs a unit of a layer can see, read from the graph alone."""
