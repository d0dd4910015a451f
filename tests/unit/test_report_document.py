"""Still pictures, HTML and PDF."""

import base64
import re
from io import BytesIO
from pathlib import Path

import nbformat
import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image

from quanticity.core.errors import DataError, DataMissing, OutputError
from quanticity.reports import document, figures
from quanticity.reports.layout import write_example
from quanticity.reports.run import load_run
from quanticity.reports.show import bundle, static_png
from quanticity.reports.tables import Table, money


def colours(png: bytes) -> set[str]:
    pixels = np.asarray(Image.open(BytesIO(png)).convert("RGB")).reshape(-1, 3)
    return {"#{:02X}{:02X}{:02X}".format(*row) for row in np.unique(pixels, axis=0)}


def test_each_trace_of_a_figure_is_in_the_still_picture(tmp_path: Path) -> None:
    figure = figures.spot_figure(load_run(write_example(tmp_path)))
    seen = colours(static_png(figure))
    for trace in figure.data:
        assert (trace.line.color or trace.marker.color) in seen or trace.marker.color in seen, trace.name


def test_size_and_bytes_are_reproducible(tmp_path: Path) -> None:
    figure = figures.strike_figure(load_run(write_example(tmp_path)))
    picture = static_png(figure)
    assert picture == static_png(figure)
    assert Image.open(BytesIO(picture)).size == (1100, round(figure.layout.height * 1.1))


@pytest.mark.parametrize(("figure", "told"), [
    (go.Figure(go.Pie(values=[1])), "trace type 'pie'"),
    (go.Figure(go.Scatter(x=[1], y=[1], mode="text")), "mode 'text'"),
    (go.Figure(go.Scatter(x=[1], y=[1], fill="toself")), "fill 'toself'"),
    (go.Figure(go.Bar(x=[1], y=[1]), layout={"barmode": "stack"}), "bar mode 'stack'"),
])
def test_what_is_not_covered_is_refused(figure: go.Figure, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        static_png(figure)


def notebook(*outputs: dict[str, object], text: str = "") -> nbformat.NotebookNode:
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)] if text else [])
    book.cells += [nbformat.v4.new_code_cell("hidden_code = 1", outputs=[nbformat.v4.new_output("display_data", data=data)]) for data in outputs]
    return book


def test_html_holds_plotly_once_fetches_nothing_and_hides_code(tmp_path: Path) -> None:
    run = load_run(write_example(tmp_path))
    page = document.html_page(notebook(bundle(figures.spot_figure(run)), bundle(figures.pnl_figure(run))), "A title & more")
    assert page.count("plotly.js v") == 1 and "<title>A title &amp; more</title>" in page
    assert not re.search(r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["']?(?:https?:)?//""", page)
    assert not re.search(r"@import|url\(\s*['\"]?https?:", page.split("</style>")[0])
    assert "hidden_code" not in page and page.count('class="q-figure"') == 2


def test_html_without_figures_has_no_plotly() -> None:
    assert len(document.html_page(notebook(text="# Only words"))) < 20_000


def test_text_that_ends_a_script_does_not() -> None:
    figure = go.Figure(go.Scatter(x=[1], y=[1], name="</script><b>", mode="markers"), layout={"title": {"text": "x"}})
    assert "</script><b>" not in bundle(figure)["text/html"]


def test_pdf_sets_everything_and_survives_any_text() -> None:
    picture = base64.b64encode(static_png(go.Figure(go.Scatter(x=[1, 2], y=[1, 2], mode="lines")))).decode()
    table = Table("Wide", tuple(f"c{i}" for i in range(12)), (tuple("word " * 9 for _ in range(12)),) * 40, "l" * 12, "here")
    odd = "# 漢字 🚀 \u202e\n\n- ≥ Δ\n\n> quote\n\n---\n\n```\nx = 1\n```\n\n|a|b|\n|-|-|\n|1|2|\n\n[link](https://example.org) **b** *i* ***bi***"
    pdf = document.pdf_pages(notebook({"image/png": picture}, table._repr_mimebundle_(), {"text/plain": "plain\nlines"}, {"text/html": "x"},
                                      text=odd))
    assert pdf.startswith(b"%PDF-") and pdf.count(b"/Type /Page\n") >= 3
    assert pdf.count(b"/Subtype /Image") >= 1


def test_pdf_of_an_empty_notebook_is_a_page() -> None:
    assert document.pdf_pages(nbformat.v4.new_notebook()).count(b"/Type /Page\n") == 1


def test_errors_and_streams_are_printed() -> None:
    book = notebook()
    book.cells = [nbformat.v4.new_code_cell("", outputs=[nbformat.v4.new_output("stream", text="told\n"), nbformat.v4.new_output(
        "error", ename="ValueError", evalue="bad", traceback=["\x1b[31mValueError\x1b[0m: bad"])])]
    assert "ValueError" in document.html_page(book) and document.pdf_pages(book).startswith(b"%PDF-")


def test_files_are_written_whole_or_not(tmp_path: Path) -> None:
    target = document.write_whole(tmp_path / "a" / "b.txt", b"first")
    document.write_whole(target, b"second")
    assert target.read_bytes() == b"second" and list(target.parent.iterdir()) == [target]
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(OutputError, match=r"cannot write .*folder\.txt"):
        document.write_whole(tmp_path / "folder.txt", b"x")
    assert [p.name for p in tmp_path.iterdir() if "part" in p.name] == []


def test_what_is_no_notebook_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text("{}")
    with pytest.raises(DataError, match="not a notebook"):
        document.read_notebook(tmp_path / "a.ipynb")
    with pytest.raises(DataMissing):
        document.read_notebook(tmp_path / "b.ipynb")


@pytest.mark.parametrize(("value", "text"), [(0.0, "0.00"), (-0.5, "\N{MINUS SIGN}0.50"), (float("nan"), ""), (None, ""), (1e6, "1,000,000.00")])
def test_money(value: float | None, text: str) -> None:
    assert money(value) == text


def test_a_tables_title_stays_with_its_first_row() -> None:
    """Wherever on the page it comes, also where that row is of many lines."""
    row = ["09:30:00", " ".join(["a sentence of some length that takes a line or two"] * 12)]
    pdf, titled = document._new_pdf("t", "r"), list[int]()
    draw = pdf.cell
    pdf.cell = lambda *a, **k: (titled.append(pdf.page_no()) if "Messages" in a else None, draw(*a, **k))[1]
    for down in range(150, 285, 5):
        pdf.add_page()
        pdf.set_y(down)
        titled.clear()
        document._table(pdf, {"title": "Messages", "columns": ["when", "text"], "rows": [row], "align": "ll", "under": []})
        assert titled == [pdf.page_no()], f"{down} mm down the page the title is on page {titled} and its row on {pdf.page_no()}"
