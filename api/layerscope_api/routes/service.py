"""The service itself: its limits, its colormaps and its versions."""

import dataclasses
import platform
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from fastapi import APIRouter

from layerscope import __version__
from layerscope.render import names
from layerscope_api.context.scopes import INFER
from layerscope_api.context.service import ServiceDependency
from layerscope_api.schemas.openapi import errors
from layerscope_api.schemas.service import ColormapList, LimitList, LimitRow, VersionInfo

router = APIRouter(prefix="/v1", tags=["service"], dependencies=[INFER])


@router.get("/limits", responses=errors(406))
async def limits(service: ServiceDependency) -> LimitList:
    """Every bound in force."""
    return LimitList(
        limits=[
            LimitRow(name=each.name, value=getattr(service.limits, each.name), **each.metadata)
            for each in dataclasses.fields(service.limits)
        ]
    )


@router.get("/colormaps", responses=errors(406))
async def colormaps() -> ColormapList:
    """The names that `colormap=` takes."""
    return ColormapList(colormaps=list(names()))


@router.get("/version", responses=errors(406))
async def versions() -> VersionInfo:
    """The versions of what computes."""
    return VersionInfo(
        layerscope=__version__,
        keras=version("keras"),
        tensorflow=_tensorflow_version(),
        numpy=np.__version__,
        python=platform.python_version(),
    )


def _tensorflow_version() -> str:
    """The version of TensorFlow, which is installed from one of two distributions."""
    try:
        return version("tensorflow-cpu")
    except PackageNotFoundError:
        return version("tensorflow")
