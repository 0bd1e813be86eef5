"""Serializers: the JSON and the pictures of answers, made of results of the engine, and the memory they take."""
