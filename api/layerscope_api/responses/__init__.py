"""Responses: bodies, headers, streams and errors."""
