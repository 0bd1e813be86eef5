"""Requests: their options, images, tensors and model files."""
