"""The Open Inference Protocol. Paths are read by hand and errors are never 422, which its clients do not expect."""

from layerscope_api.inference_protocol.routes import health, infer, models, repository, server

INFERENCE_ROUTER = infer.router
"""The route that runs models, apart from the others because it is asked all the time: the framework tries it first."""

ROUTERS = (health.router, server.router, models.router, repository.router)
