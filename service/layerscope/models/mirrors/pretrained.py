"""The download of the imagenet weights of an architecture by Keras. Run as `python -m layerscope.models.mirrors.pretrained NAME FILE`."""

import contextlib
import sys

REFUSED = 3
"""The exit code if there is no such architecture; what is printed says so."""


def main(name: str, path: str) -> int:
    """Write the weights of `keras.applications.<name>` to a file; the exit code."""
    from layerscope.errors import ModelRefused  # noqa: PLC0415 - the parent needs REFUSED only, and no Keras
    from layerscope.models.architectures import architecture  # noqa: PLC0415

    try:
        with contextlib.redirect_stdout(sys.stderr):
            architecture(name)(weights="imagenet").save_weights(path)
    except ModelRefused as error:
        sys.stdout.write(error.message)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
