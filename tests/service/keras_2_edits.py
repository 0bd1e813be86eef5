"""Files of Keras 2 with another configuration."""

import json
import shutil
import zipfile

import h5py


def edited(path, target, edit):
    """A copy of an HDF5 file or of an archive with another configuration."""
    shutil.copy(path, target)
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        config = json.loads(parts["config.json"])
        edit(config)
        parts["config.json"] = json.dumps(config).encode()
        with zipfile.ZipFile(target, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
        return target
    with h5py.File(target, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        edit(config)
        file.attrs["model_config"] = json.dumps(config)
    return target


def called(named, class_name=None, /, **arguments):
    """An edit that gives a layer another class and other arguments."""

    def edit(config):
        layer = next(each for each in config["config"]["layers"] if each["config"]["name"] == named)
        layer["class_name"] = class_name or layer["class_name"]
        layer["config"].update(arguments)

    return edit
