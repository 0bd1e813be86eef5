"""`python -m layerscope_api` is the command `layerscope`."""

from layerscope_api.cli import app

app()
