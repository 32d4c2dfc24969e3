"""Every command of docs/api.md works, in its order, against a server."""

import os
import re
import subprocess
from pathlib import Path

import httpx2

PAGE = Path(__file__).parents[3] / "docs" / "api.md"


def test_every_command_of_the_page_works(api_url: str, api_token: str, tmp_path: Path) -> None:
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL))
    assert script.count("api ") > 15
    environment = {"PATH": os.environ["PATH"], "HEADRACE_URL": api_url, "HEADRACE_TOKEN": api_token}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_every_path_of_the_api_is_on_the_page(api_url: str) -> None:
    page = re.sub(r"\$[A-Z_]+|\{\w+\}", "{}", PAGE.read_text())
    paths = httpx2.get(f"{api_url}/openapi.json").json()["paths"]
    shown = {path: re.sub(r"\{\w+\}", "{}", path.removeprefix("/api/v1")) for path in paths}
    shown = {path: form.replace("/workspaces/{}", "/workspaces/default") for path, form in shown.items()}
    assert [path for path, form in shown.items() if form not in page] == []
