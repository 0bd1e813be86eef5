"""Where a model becomes one traced graph with a tap on every layer call."""
