"""Responses: bodies, headers, caching, streams, errors and the cancellation of work."""
