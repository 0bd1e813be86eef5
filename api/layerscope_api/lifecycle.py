"""Where the service stands between its start and its end."""

from dataclasses import dataclass

from fastapi import FastAPI


@dataclass
class Lifecycle:
    """`is_draining`: it was told to end, and says to who asks that it is not ready for new work."""

    is_draining: bool = False


def lifecycle_of(app: FastAPI) -> Lifecycle:
    """That of an application made by `create_app`."""
    lifecycle: Lifecycle = app.state.lifecycle
    return lifecycle
