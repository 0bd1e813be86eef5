"""The explorer while the service loads its models, and while it is away."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from explored_models import write_folder
from explored_service import Served, needs_chromium
from keras import Input, Sequential, layers

from layerscope.demo import MODELS
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app, local_engine

pytestmark = needs_chromium


class Loading:
    """An engine that loads its models one at a time, each when it is told to. The first one is broken."""

    def __init__(self, directory: Path) -> None:
        (write_folder(directory / "broken", None) / "model.keras").write_bytes(b"no model")
        for name in ("digits", "late"):
            shutil.copytree(MODELS / "digits", directory / name)
        self.settings = Settings(models=directory)
        self.engine = local_engine(self.settings)
        self._steps = threading.Semaphore(0)
        self._loaded = threading.Semaphore(0)
        self._thread = threading.Thread(target=self.engine.load_all, args=[self._wait])

    def begin(self) -> None:
        """Load the first model."""
        self._thread.start()
        self._loaded.acquire()

    def load_next(self) -> None:
        self._steps.release()
        self._loaded.acquire()

    def close(self) -> None:
        self._steps.release(10)
        if self._thread.is_alive():
            self._thread.join()
        self.engine.close()

    def _wait(self, _: object) -> None:
        self._loaded.release()
        self._steps.acquire()


@pytest.fixture
def loading(tmp_path: Path) -> Iterator[Loading]:
    loading = Loading(tmp_path)
    yield loading
    loading.close()


def test_it_opens_by_itself_when_a_model_is_loaded_and_says_why_one_failed(visit, loading: Loading) -> None:
    served = Served(create_app(loading.settings, loading.engine))
    try:
        explorer = visit(address=served.address)
        page = explorer.page
        page.wait_for_selector("#notice >> text=The service has no models yet")
        loading.begin()
        page.wait_for_selector("#notice >> text=Loading digits 1, 2 of 3")
        explorer.picture("loading")
        loading.load_next()
        explorer.shows("conv1")
        assert page.is_hidden("#notice")
        assert explorer.text("#predictions .class >> nth=0") == "7"
        assert page.locator("#model option").all_inner_texts() == [
            "broken 1 (failed)",
            "digits 1",
            "late 1 (loading)",
        ]
        assert page.locator("#model option[disabled]").count() == 0

        page.select_option("#model", "broken@1")
        page.wait_for_selector("#problem", state="visible")
        assert explorer.text("#problem p").startswith("broken 1 could not be loaded: ")
        explorer.picture("failed-model")

        page.select_option("#model", "late@1")
        page.wait_for_selector("#notice >> text=Loading late 1, 3 of 3")
        loading.load_next()
        explorer.until("document.title.includes('late@1')")
        assert page.is_hidden("#problem")
        assert "late 1" in page.locator("#model option").all_inner_texts()
    finally:
        served.stop()


def test_it_opens_on_a_photograph_if_a_model_declares_how_it_takes_one(visit, tmp_path: Path) -> None:
    shutil.copytree(MODELS / "digits", tmp_path / "digits")
    assumed = Sequential([Input((8, 8, 3)), layers.Conv2D(2, 1, name="maps")])
    for name, declaration in {"assumed": None, "zoo": {"preprocessing": {"preset": "unit"}}}.items():
        assumed.save(write_folder(tmp_path / name, declaration) / "model.keras")
    served = Served(create_app(Settings(models=tmp_path)))
    try:
        page = visit(address=served.address).shows("maps").page
        assert page.input_value("#model") == "zoo@1"
        assert page.get_attribute("#image", "alt") == "cat"
    finally:
        served.stop()


def test_it_comes_back_by_itself_with_the_service(visit, served: Served) -> None:
    explorer = visit("#model=nested@1&layer=stem", may_fail=True).shows("stem")
    served.stop()
    try:
        explorer.page.click("#images button >> nth=2")
        explorer.page.wait_for_selector("#problem >> text=The service does not answer.")
        assert explorer.page.locator("body.waiting").count() == 1
    finally:
        served.start()
    explorer.page.wait_for_selector("#problem", state="hidden")
    explorer.until("document.querySelector('#images button:nth-child(3)').ariaPressed === 'true'")
    explorer.shows("stem")
