"""Execution: the engine, from a query to activations and attributions, with scheduling and caching."""
