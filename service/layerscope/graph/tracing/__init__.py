"""Tracing: from a Keras model to one graph with a tap on every layer call."""
