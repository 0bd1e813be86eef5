"""Serializers: from results of the engine to the JSON and pictures of answers."""
