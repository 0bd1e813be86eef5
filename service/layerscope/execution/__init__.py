"""From a query to activations: inputs, scheduling, caching, the engine."""
