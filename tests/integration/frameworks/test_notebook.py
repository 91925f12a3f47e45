"""A scheduler in the kernel of a notebook."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.helpers.paths import PROJECT

pytestmark = pytest.mark.slow

_CELL = re.compile(r"<!-- cell -->\n```python\n(?P<code>.*?)```\n\n```text\n(?P<output>.*?)```", re.DOTALL)
_STYLE = re.compile(r"\x1b\[[0-9;]*m")


class Notebook:
    """A kernel that executes cells one after another."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self._client = client

    def run(self, cell: str) -> str:
        """Execute a cell; return its output, with the value of its last line or its error."""
        texts: list[str] = []

        def collect(message: dict[str, dict[str, object]]) -> None:
            content = message["content"]
            traceback = content.get("traceback")
            data = content.get("data")
            if isinstance(traceback, list):
                texts.append(_STYLE.sub("", "\n".join(traceback)))
            elif isinstance(data, dict):
                texts.append(f"{data['text/plain']}\n")
            elif "text" in content:
                texts.append(str(content["text"]))

        self._client.execute_interactive(cell, timeout=80, output_hook=collect)
        return "".join(texts)


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    manager = KernelManager()
    manager.start_kernel(cwd=str(tmp_path))
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=80)
        yield Notebook(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_cell_of_the_readme_runs_again_and_again(notebook: Notebook) -> None:
    (found,) = _CELL.finditer((PROJECT / "README.md").read_text())
    for _ in range(3):
        assert notebook.run(found["code"]) == found["output"]
    # The tasks go on between cells, and only those of the last scheduler.
    assert notebook.run("await task.result(), await task.result()") == "(1024, 1024)\n"
    notebook.run("import gc, asyncz")
    running = "[each.running for each in gc.get_objects() if isinstance(each, asyncz.AsyncIOScheduler)].count(True)"
    assert notebook.run(running) == "1\n"
    assert notebook.run("await scheduler.shutdown(); scheduler.running") == "False\n"


def test_example_notebook_runs(notebook: Notebook) -> None:
    path = PROJECT / "tests" / "examples" / "notebook.ipynb"
    cells: list[dict[str, list[str]]] = json.loads(path.read_text())["cells"]
    outputs = [notebook.run("".join(cell["source"])) for cell in cells]
    assert outputs[:3] == ["", "1024\n", "[0, 1, 4, 9, 16]\n"]
    assert outputs[3].startswith("['executed'")


def test_functions_of_a_notebook_run_in_threads_only(notebook: Notebook) -> None:
    notebook.run(
        "from asyncz import *\n"
        "scheduler = AsyncIOScheduler()\n"
        "await scheduler.start()\n"
        "def square(x):\n"
        "    return x * x\n"
        "async def later(x):\n"
        "    return -x\n"
    )
    assert notebook.run("await scheduler.add_task(square, 7, executor='threadpool').result()") == "49\n"
    assert notebook.run("await scheduler.add_task(later, 7).result()") == "-7\n"
    assert notebook.run("await scheduler.add_task(pow, 2, 5, executor='processpool').result()") == "32\n"
    error = notebook.run("await scheduler.add_task(square, 7, executor='processpool').result()")
    assert "SerializationError" in error
    assert "notebook" in error
    assert "module" in error


def test_scheduler_in_a_thread_of_a_notebook(notebook: Notebook) -> None:
    notebook.run("from asyncz import *\nthread = AsyncIOScheduler().in_thread().start()")
    assert notebook.run("thread.run(thread.scheduler.add_task(pow, 2, 3, trigger=None))") == "8\n"
    assert "run_forever" in notebook.run("AsyncIOScheduler().run_forever()")
    assert notebook.run("thread.stop(); thread.scheduler.running") == "False\n"
