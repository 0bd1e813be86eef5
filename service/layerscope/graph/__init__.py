"""Graph: a model as one traced graph with a tap on every layer call, and the plans that run it."""
