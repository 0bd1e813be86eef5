"""The download of the imagenet weights of an architecture by Keras. Run as `python -m layerscope.models.mirrors.pretrained NAME FILE`."""

import sys

from layerscope.models.architectures import architecture
from layerscope.models.mirrors.programs import exit_code


def main(name: str, path: str) -> int:
    """Write the weights of `keras.applications.<name>` to a file; the exit code."""
    return exit_code(lambda: architecture(name)(weights="imagenet").save_weights(path))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
