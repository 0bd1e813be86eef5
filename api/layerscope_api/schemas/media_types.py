"""Media types of request bodies."""

IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/bmp", "image/gif")
NPY_TYPE = "application/x-npy"
TEXT_TYPE = "text/plain"
JSON_TYPE = "application/json"
FORM_TYPE = "multipart/form-data"
ANY_TYPE = "application/octet-stream"
"""Bytes of any accepted format: their first bytes tell which."""
