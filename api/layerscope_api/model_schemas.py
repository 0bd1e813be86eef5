"""The JSON that the service answers with when models are changed."""

from pydantic import BaseModel

from layerscope_api.schemas import VersionBody


class NamedVersionBody(VersionBody):
    """One version of a model, as it is now."""

    name: str


class LabelsBody(BaseModel):
    """The labels of a model, and the versions that they point at."""

    name: str
    labels: dict[str, int]
