"""The setting `graph_rewrites`, as an environment variable and as options of the command line."""

import pytest
from typer.testing import CliRunner

from layerscope.graph.rewrites import REWRITES
from layerscope_api.cli.app import app
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import local_engine


@pytest.mark.parametrize(("value", "expected"), [(None, REWRITES), ("1", REWRITES), ("0", ())])
def test_rewrites_are_used_unless_they_are_turned_off(
    value: str | None, expected: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is not None:
        monkeypatch.setenv("LAYERSCOPE_GRAPH_REWRITES", value)
    engine = local_engine(Settings(models=None))
    engine.load_all()
    (name,) = {record.name for record in engine.catalogue()}
    model = engine.models.registry.find(name).model
    assert model is not None
    assert model.executable.plans.rewrites == expected
    engine.close()


@pytest.mark.parametrize("option", ["--graph-rewrites", "--no-graph-rewrites"])
def test_the_command_line_has_both_options(option: str) -> None:
    """The setting that is wrong is another one: the command reads this one and does not get to serving."""
    result = CliRunner().invoke(app, ["serve", option, "--port", "70000"], env={"COLUMNS": "160"})
    assert result.exit_code == 2
    assert "LAYERSCOPE_PORT is not valid" in result.stderr
