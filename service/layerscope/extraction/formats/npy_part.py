"""npy: a folder for each part, with a file a layer of shape (images, *shape), which numpy maps; and `rows.jsonl`.

The name of a file is the address of the layer, with `/` and other signs of paths as in URLs: `block%2Fconv.npy`.
"""

import json
from pathlib import Path
from urllib.parse import quote

from layerscope.encode.arrays import array_data
from layerscope.encode.npy_format import npy_header
from layerscope.extraction.formats.part import Part
from layerscope.extraction.job import JOB


def write(path: Path, part: Part) -> None:
    """Write a part."""
    path.mkdir()
    for address, values in part.values.items():
        # `numpy.save` does not say that a disk is full.
        with (path / f"{quote(address, safe=':@')}.npy").open("wb") as file:
            file.write(npy_header(values))
            file.write(array_data(values))
    rows = zip(part.paths, part.images, strict=True)
    lines = [json.dumps({"path": name, "image": image}, ensure_ascii=False) + "\n" for name, image in rows]
    (path / "rows.jsonl").write_text("".join(lines), "utf-8")
    (path / "job.json").write_bytes(JOB.dump_json(part.job))
