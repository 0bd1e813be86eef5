"""The client imports neither the service nor the dependencies of the service."""

import subprocess
import sys

PROGRAM = """
import sys
import layerscope_client
foreign = {"tensorflow", "keras", "layerscope", "layerscope_api", "fastapi", "starlette", "PIL", "pydantic"}
print(",".join(sorted(foreign & {name.partition(".")[0] for name in sys.modules})))
"""


def test_importing_the_client_imports_nothing_of_the_service() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == ""
