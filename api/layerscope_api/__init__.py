"""Layerscope over HTTP: a FastAPI application around a `layerscope` engine."""
