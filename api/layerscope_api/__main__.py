"""`python -m layerscope_api` is the command `layerscope`."""

from layerscope_api.cli.app import app

app()
