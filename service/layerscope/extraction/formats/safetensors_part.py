"""safetensors: a tensor a layer, (images, *shape), and the job, the paths and the images as JSON in the metadata."""

import json
from pathlib import Path

from layerscope.encode.safetensors_format import safetensors_of
from layerscope.extraction.formats.part import Part
from layerscope.extraction.job import JOB


def write(path: Path, part: Part) -> None:
    """Write a part."""
    metadata = {
        "format": "layerscope",
        "job": JOB.dump_json(part.job).decode(),
        "paths": json.dumps(part.paths),
        "images": json.dumps(part.images),
    }
    with path.open("wb") as file:
        for each in safetensors_of(part.values, metadata):
            file.write(each)
