"""Errors of Keras when it cannot open a file, told as what is wrong and who can mend it."""

import importlib.metadata
import re
from collections.abc import Sequence

from layerscope.errors import ModelRefused
from layerscope.models.manifest import FILE_NAME

_DAMAGED = "The file is damaged, cut off or not a Keras model: copy it again, or save it again with model.save('model.keras')."

_NAMES_LISTED = 3

_ADVICE: Sequence[tuple[str, str]] = (
    (
        r"`Lambda` layer|Python `?lambda|identifier: \{'value'",
        (
            f'The model has code in {{lambdas}}: declare "trust_code": true in {FILE_NAME} if you trust whoever made the file,'
            " or save the model with a layer class of your own and name its plugin."
        ),
    ),
    (
        r"Lambda\.call\(\)",
        (
            "The code in {lambdas} does not run here, see the log: save the model with a layer class of your own in its"
            f" place, and name the class's plugin in {FILE_NAME}."
        ),
    ),
    (
        r"class '(?P<name>[^']+)' because its parent module (?P<module>\S+) cannot be imported",
        (
            "The model uses the class {name!r} of the module {module}, which is not installed: install it beside Layerscope and"
            f" import it in a plugin, or write the class into a plugin that {FILE_NAME} names."
        ),
    ),
    (
        r"Could not locate (?P<kind>class|function) '(?P<name>[^']+)'.*?object config: \{'module': '(?P<module>(?!__main__|builtins)[^']+)'",
        (
            "The model uses the {kind} {name!r} of the module {module}, which Keras does not have: install the module beside"
            f" Layerscope and import it in a plugin, or write the {{kind}} into a plugin that {FILE_NAME} names."
        ),
    ),
    (
        r"Could not locate (?P<kind>class|function) '(?P<name>[^']+)'",
        (
            "The model uses the {kind} {name!r}, which Keras does not have: write it into a plugin, a .py file beside the model"
            f" that {FILE_NAME} names."
        ),
    ),
    (
        r"Unknown (?P<kind>layer|object|\w+ function): '?(?P<name>[\w>]+)'?",
        (
            "The model uses the {kind} {name!r}, which Keras does not have: write it into a plugin, a .py file beside the model"
            f" that {FILE_NAME} names."
        ),
    ),
    (
        r"Could not interpret (?P<kind>\w+)(?: function)? identifier: '?(?P<name>[^\s']+)",
        (
            "The model uses the {kind} {name!r}, which Keras does not have: write it into a plugin, a .py file beside the model"
            f" that {FILE_NAME} names."
        ),
    ),
    (
        r"No model config",
        (
            "The file holds nothing but weights: save the whole model with model.save('model.keras'), or declare its"
            f" architecture in {FILE_NAME}."
        ),
    ),
    (
        r"requires the (?P<name>\w+) module",
        "The model needs the Python package {name}: install it beside Layerscope.",
    ),
    (
        r"No module named '(?P<name>[\w.]+)'",
        "The model needs the Python module {name!r}, which is not installed: install it beside Layerscope.",
    ),
    (
        r"Layer '(?P<name>[^']+)' (?:was never built|expected (?P<wanted>\d+) variables, but received (?P<got>\d+))",
        (
            "The weights in the file are not those of layer {name!r} as the configuration has it: save the whole model again"
            " where it was trained, and if it is of a class of your own, with the plugin's version of the class."
        ),
    ),
    (
        r"(?:(?P<name>\w+)\.__init__\(\) got an|passed to (?P<other>\w+): \{'|unexpected keyword|nrecognized keyword|eyword argument not understood)",
        (
            "The model was saved by another version of Keras than this one ({version}), which does not know all arguments of"
            " its layer {name}: save it again with {version}, or export it with model.export('folder')."
        ),
    ),
    (
        r"not a KerasSaveable",
        "The model was saved by another version of Keras than this one ({version}) can read: save it again with {version}.",
    ),
    (r"(?i)not a zip|accessible", _DAMAGED),
)
"""Patterns of the messages of Keras, each with what it means."""


def cannot_open(error: Exception, package: str = "keras", lambdas: Sequence[str] = ()) -> ModelRefused:
    """The refusal of a file that Keras raised an error about. The error itself belongs into the log.

    Args:
        error: what was raised.
        package: the distribution that raised it, `keras` or `tf-keras`.
        lambdas: the names of the Lambda layers whose code is in the file.
    """
    version = f"{package} {importlib.metadata.version(package)}"
    return ModelRefused(_meaning(error, version, lambdas), cause=type(error).__name__)


def _meaning(error: Exception, version: str, lambdas: Sequence[str]) -> str:
    if isinstance(error, (OSError, KeyError)):
        return _DAMAGED
    # Keras quotes the configuration before this text, and a configuration could contain any of the patterns.
    text = str(error).rpartition("Exception encountered: ")[2]
    for pattern, meaning in _ADVICE:
        match = re.search(pattern, text)
        if match:
            return meaning.format(version=version, lambdas=_listed(lambdas), **_named(match))
    return (
        f"{version} cannot open the file ({type(error).__name__}, see the log): load it where it was trained,"
        " and save it again."
    )


def _listed(lambdas: Sequence[str]) -> str:
    if not lambdas:
        return "a Lambda layer"
    names = ", ".join(repr(name[:100]) for name in lambdas[:_NAMES_LISTED])
    more = len(lambdas) - _NAMES_LISTED
    return (
        f"the Lambda layer{'s' if len(lambdas) > 1 else ''} {names}{f' and {more} more' if more > 0 else ''}"
    )


def _named(match: re.Match[str]) -> dict[str, str]:
    found = {key: (value or "")[:100] for key, value in match.groupdict().items()}
    return {**found, "name": found.get("name") or found.get("other") or "classes"}
