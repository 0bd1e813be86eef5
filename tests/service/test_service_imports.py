import subprocess
import sys

PROGRAM = """
import importlib, pkgutil, sys
import layerscope
names = [each.name for each in pkgutil.walk_packages(layerscope.__path__, "layerscope.")]
for name in names:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Extras that only the tests of clusters install.
        if error.name not in {"distributed", "ray"}:
            raise
foreign = {"fastapi", "starlette", "uvicorn", "httpx2", "layerscope_api", "layerscope_client"} & set(sys.modules)
print(len(names), sorted(foreign))
"""


def test_no_room_of_the_service_knows_the_web():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    count, _, foreign = done.stdout.strip().splitlines()[-1].partition(" ")
    assert int(count) > 30
    assert foreign == "[]"
