"""The whole service as one deployment of Ray Serve: `serve run layerscope_api.server.ray_serve:application`.

Each replica is a service like any other, with its settings from the environment of its process. The bounds on connections, on
slow headers among them, are those of Ray's proxy instead of ours.
"""

from fastapi import FastAPI
from ray import serve

from layerscope.limits import Limits
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

_STOP_SECONDS = 30
"""What is asked when a replica is told to stop is answered so long."""


def build() -> FastAPI:
    """The application, made on the replica: paths in settings are those of its machine.

    Raises:
        ValueError: everybody would be let in.
    """
    settings = Settings()
    if settings.api_keys is None and not settings.insecure_no_auth:
        raise ValueError(
            "Ray Serve listens on the network: set LAYERSCOPE_API_KEYS, or let everybody in with LAYERSCOPE_INSECURE_NO_AUTH=true."
        )
    return create_app(settings)


@serve.deployment(
    name="layerscope",
    # Beyond these, which Ray's proxy knows, callers hear 503. A replica that had more to do would answer 429 itself.
    max_ongoing_requests=Limits().pending_requests,
    max_queued_requests=4 * Limits().pending_requests,
    graceful_shutdown_timeout_s=_STOP_SECONDS,
    ray_actor_options={"num_cpus": 1},
)
@serve.ingress(build)
class Layerscope:
    """A replica."""


application = Layerscope.bind()  # type: ignore[attr-defined]  # of the decorator
