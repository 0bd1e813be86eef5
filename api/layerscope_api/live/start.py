"""`show`: the explorer for a Keras model that is in memory."""

import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from layerscope.execution.local_engine import LocalEngine
from layerscope.graph.loading.live import LiveLoader
from layerscope.models.directory import is_model_name
from layerscope.models.manifest import FILE_NAME
from layerscope_api.context.settings import Settings
from layerscope_api.explorer.page import Page
from layerscope_api.live.image_files import Images, image_files
from layerscope_api.live.live_explorer import LiveExplorer
from layerscope_api.server.app import create_app
from layerscope_api.server.listening import listen

_NOTEBOOKS = "http://localhost:* http://127.0.0.1:*"
"""The pages that may show the explorer in a frame: notebooks of this machine."""

_NO_NAME = re.compile(r"[^a-z0-9._-]+")


def show(
    model: Any,
    images: Images = None,
    *,
    classes: Sequence[object] | None = None,
    preprocessing: str | Mapping[str, Any] | None = None,
    port: int = 0,
) -> LiveExplorer:
    """Serve Keras models that are in memory, and open the explorer.

    The models are traced in this process, so that classes, functions and Lambda layers of a notebook work. What is served is a
    copy: call it again after training. Only programs of this machine can reach the service, and it needs no key.

    Args:
        model: of Keras, or several by name, such as `before` and `after`, to compare them.
        images: those to choose from in the explorer; without any, the samples.
        classes: names of the classes, in the order of the output.
        preprocessing: how an image becomes the input of the model: the name of a preset, such as `unit` for values from 0 to 1,
            or what `layerscope.json` declares. Without it, a preset is assumed, and the explorer says so.
        port: to listen on; 0 picks a free one.

    Returns:
        The running explorer. Keep it: it is closed when nothing refers to it. As the last line of a notebook's cell it shows
        itself; a script ends with its `wait()`.

    Raises:
        ModelRefused: a model cannot be traced, or a declaration does not fit it.
        CannotListen: the port is in use.
        TypeError, ValueError, OSError: something of `images` is no image, or a name is none that a model can have.
    """
    models = dict(model) if isinstance(model, Mapping) else {_name_of(model): model}
    for name in models:
        if not is_model_name(name):
            raise ValueError(
                f"A model is named with a-z, 0-9, '.', '_' and '-', such as 'before', and not {name!r}."
            )
    page = Page(None if images is None else image_files(images), framed_by=_NOTEBOOKS)
    declaration = dict(_declaration(classes, preprocessing))
    settings = Settings(
        host="127.0.0.1",
        port=port,
        api_keys=None,
        control="none",
        max_age_seconds=0,
        drain_seconds=0,
        grace_seconds=1,
    )
    listener = listen(settings)
    try:
        engine = _engine(models, declaration, settings)
    except BaseException:
        listener.close()
        raise
    explorer = LiveExplorer(create_app(settings, engine, page=page), engine, settings, listener)
    if not _in_notebook():
        sys.stdout.write(f"Layerscope shows {', '.join(models)} at {explorer.address}\n")
        sys.stdout.flush()
    return explorer


def _engine(models: Mapping[str, Any], declaration: Mapping[str, Any], settings: Settings) -> LocalEngine:
    """An engine that has loaded the models. Its directory holds their declarations only, and nothing after the loading.

    Raises:
        ModelRefused: one cannot be loaded.
    """
    with tempfile.TemporaryDirectory(prefix="layerscope-") as directory:
        for name in models:
            folder = Path(directory, name, "1")
            folder.mkdir(parents=True)
            (folder / FILE_NAME).write_text(json.dumps(declaration), "utf-8")
        engine = LocalEngine(Path(directory), settings.limits, LiveLoader(models))
        engine.load_all()
    failed = [entry.cause for entry in engine.models.registry.entries() if entry.cause is not None]
    if failed:
        engine.close()
        raise failed[0]
    return engine


def _declaration(
    classes: Sequence[object] | None, preprocessing: str | Mapping[str, Any] | None
) -> Iterator[tuple[str, Any]]:
    if classes is not None:
        yield "classes", [str(name) for name in classes]
    if preprocessing is not None:
        yield "preprocessing", {"preset": preprocessing} if isinstance(preprocessing, str) else preprocessing


def _name_of(model: Any) -> str:
    """The name of the model, as a name of a model that is served may be."""
    return _NO_NAME.sub("-", str(getattr(model, "name", "")).lower()).strip("._-")[:64] or "model"


def _in_notebook() -> bool:
    """Whether this is the kernel of a notebook, in which the explorer shows itself."""
    shell = sys.modules.get("IPython")
    return shell is not None and getattr(shell.get_ipython(), "kernel", None) is not None
