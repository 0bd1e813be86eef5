"""Schemas: the options of requests and the JSON of answers, as the OpenAPI document has them."""
