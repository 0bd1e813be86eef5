"""ASGI middleware: checks and headers that do not depend on the route. None of it reads a body ahead of its route."""
