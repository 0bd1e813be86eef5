"""The tutorials: their commands and snippets run, one after the other, and print what the page says."""

import re
import subprocess
import sys
from pathlib import Path

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"


def blocks(page: str, *languages: str) -> list[str]:
    """The code blocks of a page in these languages."""
    text = (TUTORIALS / page).read_text("utf-8")
    return [
        code
        for language, code in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        if language in languages
    ]


def printed(page: str, folder: Path, address: str = "") -> str:
    """What all Python of a page prints, as one program in a folder."""
    code = "\n".join(blocks(page, "python")).replace("http://127.0.0.1:8000", address)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_model_in_memory(tmp_path: Path) -> None:
    first, _, rest = printed("live-model.md", tmp_path).partition("\n")
    assert re.fullmatch(r"Layerscope shows before, after at http://127\.0\.0\.1:\d+/ui/", first)
    assert rest == "".join(blocks("live-model.md", "text"))
