"""Schemas: the options of requests and the JSON of answers, from which the OpenAPI document is made."""
