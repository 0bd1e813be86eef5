"""The routes of the Open Inference Protocol. No error has the status 422, which its clients do not expect."""

from layerscope_api.inference_protocol.routes import health, infer, models, repository, server

INFERENCE_ROUTER = infer.router
"""The router of inference. It is apart from the others so that FastAPI can try it first: most requests are for it."""

ROUTERS = (health.router, server.router, models.router, repository.router)
