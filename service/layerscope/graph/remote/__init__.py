"""Runs of models in a process of its own, which can be ended whatever they do."""
