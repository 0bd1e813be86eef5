"""What the probes say from the start to the end."""

from starlette.testclient import TestClient

from layerscope.demo import MODELS
from layerscope.execution.local_engine import LocalEngine
from layerscope_api.context.service import lifecycle_of
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app


def test_r03_ready_is_what_has_loaded_and_does_not_end() -> None:
    engine = LocalEngine(MODELS)
    app = create_app(Settings(models=None), engine)

    def probes(http: TestClient) -> list[int]:
        return [http.get(f"/v2/health/{probe}").status_code for probe in ("live", "ready")]

    with TestClient(app) as http:
        assert probes(http) == [200, 503]
        assert http.get("/v1/models").json()["models"] == []
        engine.load_all()
        assert probes(http) == [200, 200]
        lifecycle_of(app).is_draining = True
        assert probes(http) == [200, 503]
        assert http.get("/v1/models/digits").status_code == 200
    engine.close()
