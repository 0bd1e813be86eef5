"""What plugins import, which is imported once for all models that have the same plugins."""

import json
import os

import keras
import pytest
from keras import layers

from layerscope.errors import LoaderFailed, ModelRefused
from layerscope.graph.loading.loader import SHARED_LOADER, LoaderProcess
from layerscope.models.directory import ModelSource

pytestmark = pytest.mark.wide

PLUGIN = """
import sys, pathlib
sys.path.append('{packages}')
import slow_package
import keras
class Doubled(keras.layers.Layer):
    def call(self, inputs):
        return inputs * slow_package.FACTOR
"""


@pytest.fixture(scope="module")
def model():
    start = keras.Input((4,), name="start")

    class Doubled(layers.Layer):
        def call(self, inputs):
            return inputs * 2

    return keras.Model(start, Doubled(name="doubled")(layers.Dense(3, name="dense")(start)))


@pytest.fixture
def packages(tmp_path):
    """A folder with a package that writes down each time that it is imported."""
    (tmp_path / "packages").mkdir()
    code = f"open({str(tmp_path / 'imports')!r}, 'a').write('x')\nFACTOR = 2\n"
    (tmp_path / "packages" / "slow_package.py").write_text(code, "utf-8")
    return tmp_path / "packages"


def version(folder, model, plugin):
    folder.mkdir(parents=True)
    model.save(folder / "model.keras")
    (folder / "own.py").write_text(plugin, "utf-8")
    (folder / "layerscope.json").write_text(json.dumps({"plugins": ["own.py"]}), "utf-8")
    return ModelSource(folder.name, 1, folder / "model.keras", folder)


def test_what_plugins_import_is_imported_once_for_each_set(tmp_path, model, packages):
    plugin = PLUGIN.format(packages=packages)
    for name in ("a", "b", "c"):
        loaded = SHARED_LOADER.load(version(tmp_path / name, model, plugin))
        assert [call.type for call in loaded.metadata.calls] == ["InputLayer", "Dense", "Doubled"]
    assert (tmp_path / "imports").read_text() == "x"
    SHARED_LOADER.load(version(tmp_path / "other", model, plugin + "# changed\n"))
    assert (tmp_path / "imports").read_text() == "xx"


BREAKS = {
    "threads": "import threading, time; threading.Thread(target=time.sleep, args=(1,), daemon=True).start()",
    "tensors": "import tensorflow as tf; tf.constant(1) + 1",
    "children": "import os, time\nif not os.fork():\n    time.sleep(5); os._exit(0)",
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_plugin_whose_process_cannot_be_forked_is_run_in_each_load(tmp_path, model, packages, name):
    plugin = f"{BREAKS[name]}\n{PLUGIN.format(packages=packages)}"
    for folder in ("a", "b"):
        SHARED_LOADER.load(version(tmp_path / folder, model, plugin))


def test_a_plugin_server_that_was_killed_is_replaced(tmp_path, model, packages):
    kills = f"import os\nif os.path.exists({str(tmp_path / 'kill')!r}): os.kill(os.getppid(), 9)\n"
    plugin = kills + PLUGIN.format(packages=packages)
    with LoaderProcess() as loader:
        loader.load(version(tmp_path / "a", model, plugin))
        (tmp_path / "kill").touch()
        with pytest.raises(LoaderFailed, match="has ended"):
            loader.load(version(tmp_path / "b", model, plugin))
        (tmp_path / "kill").unlink()
        loader.load(version(tmp_path / "c", model, plugin))


def test_a_plugin_that_needs_what_is_not_installed_says_so(tmp_path, model):
    with pytest.raises(ModelRefused) as raised:
        SHARED_LOADER.load(version(tmp_path / "a", model, "import keras_not_there.layers"))
    assert "needs the Python module 'keras_not_there', which is not installed" in raised.value.message
    assert os.fspath(tmp_path) not in raised.value.message
