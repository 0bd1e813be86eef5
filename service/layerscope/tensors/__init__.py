"""Tensors: activations, what they will look like before a run, and what makes them smaller."""
