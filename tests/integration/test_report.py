"""The session report, run as a job runs it, and looked at in a browser where there is one."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest

from quanticity.core.errors import DataError, OutputError
from quanticity.reports.layout import write_example
from quanticity.reports.runner import ReportPaths, run_report

SESSION = Path(__file__).parents[2] / "nbs" / "reports" / "session.ipynb"


@pytest.fixture(scope="module", params=[True, False], ids=["signals", "no signals"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[bool, ReportPaths]:
    folder = write_example(tmp_path_factory.mktemp("run"), signals=request.param)
    return request.param, run_report(SESSION, {"run_dir": str(folder)}, folder)


def test_everything_is_made_and_nothing_else_is_left(made: tuple[bool, ReportPaths]) -> None:
    _, paths = made
    assert {"report.ipynb", "report.html", "report.pdf"} <= {p.name for p in paths.html.parent.iterdir()}
    assert [p for p in paths.html.parent.iterdir() if "part" in p.name] == []


def test_the_executed_notebook_has_no_error_and_knows_its_parameters(made: tuple[bool, ReportPaths]) -> None:
    book = nbformat.read(made[1].notebook, as_version=4)
    assert not [o for cell in book.cells for o in cell.get("outputs", ()) if o.output_type in ("error", "stream")]
    assert book.metadata.papermill.parameters["run_dir"] == str(made[1].notebook.parent)


def test_the_page_tells_the_day(made: tuple[bool, ReportPaths]) -> None:
    signals, paths = made
    page = paths.html.read_text(encoding="utf-8")
    assert "<title>DEMO on 2015-12-24: session report</title>" in page and "DEMO-20151224-example" in page
    assert page.count('class="q-figure"') == (10 if signals else 8)
    assert ("No signal was emitted. Why: not proposed: feature missing (166)" in page) is not signals
    assert len(re.findall(r"Source: ", page)) == (20 if signals else 11)


def test_a_browser_draws_every_figure_without_network(made: tuple[bool, ReportPaths], tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no chromium on this machine")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
               "--disable-sync", f"--user-data-dir={tmp_path}", "--virtual-time-budget=8000", "--dump-dom", made[1].html.as_uri()]
    page = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    boxes = page.split('class="q-figure')[1:]
    assert len(boxes) == (10 if made[0] else 8)
    assert all("main-svg" in box.split("</script>")[0] for box in boxes)


def test_the_pdf_has_pages_with_pictures(made: tuple[bool, ReportPaths]) -> None:
    pdf = made[1].pdf.read_bytes()
    assert pdf.startswith(b"%PDF-") and pdf.rstrip().endswith(b"%%EOF")
    assert pdf.count(b"/Subtype /Image") >= (10 if made[0] else 8)


def test_a_failed_report_keeps_the_notebook_and_no_page(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("of an earlier run")
    with pytest.raises(DataError, match=r"failed in cell \d+: DataMissing: no such run folder.*the executed notebook is kept") as error:
        run_report(SESSION, {"run_dir": str(tmp_path / "none")}, tmp_path)
    assert "\n" not in str(error.value)
    assert [p.name for p in tmp_path.iterdir()] == ["report.ipynb"]


def test_the_kernel_is_this_interpreter_whatever_the_home_folder_registers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = tmp_path / "home" / ".local" / "share" / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text('{"argv": ["/bin/false"], "display_name": "other", "language": "python"}')
    start = tmp_path / "home" / ".ipython" / "profile_default" / "startup"
    start.mkdir(parents=True)
    (start / "00.py").write_text("raise SystemExit('a start-up file ran')")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x: int = 1", metadata={"tags": ["parameters"]}),
                                           nbformat.v4.new_code_cell("import sys, quanticity\nprint(sys.executable, quanticity.__file__)")])
    nbformat.write(book, tmp_path / "book.ipynb")
    made = run_report(tmp_path / "book.ipynb", {}, tmp_path / "out")
    import sys

    import quanticity

    assert f"{sys.executable} {quanticity.__file__}" in made.html.read_text(encoding="utf-8")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_an_unwritable_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="cannot write"):
        run_report(SESSION, {"run_dir": "x"}, tmp_path / "shut" / "out")


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="cannot write into"):
        run_report(SESSION, {"run_dir": "x"}, tmp_path / "out")
