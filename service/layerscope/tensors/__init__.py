"""Tensors: activations, their specification before a run, the options that make them smaller, and their statistics."""
