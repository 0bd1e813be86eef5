"""Edits: values inside a network that are changed while it runs, by nodes that are written into its graph."""

from layerscope.graph.edits.edit import Edit

__all__ = ["Edit"]
