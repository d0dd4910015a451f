"""Sphinx extension: formulas as inline SVG, drawn by Matplotlib. No MathJax, no LaTeX, no network."""

import re
from html import escape
from io import BytesIO
from typing import Any

from docutils import nodes
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import math_to_image
from sphinx.util import logging

LOG = logging.getLogger(__name__)
INK = "#010203"  # replaced by the colour of the text around
# what LaTeX writes and Matplotlib's mathtext does not know
SAME = [(r"\\[td]frac(?![a-z])", r"\\frac"), (r"\\le(?![a-z])", r"\\leq"), (r"\\ge(?![a-z])", r"\\geq"), (r"\\[bB]igg?[lrm]?(?![a-zA-Z])", ""),
        (r"\\(?:text|textrm)\b", r"\\mathrm"), (r"\\sqrt\s*(\\[a-z]+|[A-Za-z0-9])", r"\\sqrt{\1}"),
        (r"\\frac\s*([A-Za-z0-9])\s*([A-Za-z0-9])", r"\\frac{\1}{\2}"),
        (r"\\(?:begin|end)\{(?:aligned|align\*?|split|gathered)\}", ""), (r"(?<!\\)&", "")]


def plain(tex: str) -> str:
    """One line of TeX in the words of mathtext."""
    for pattern, other in SAME:
        tex = re.sub(pattern, other, tex)
    return f"${' '.join(tex.split())}$"


def image(tex: str, size: float) -> str:
    """An SVG element for one line of TeX, which stands on the text's baseline."""
    buffer = BytesIO()
    depth = math_to_image(plain(tex), buffer, prop=FontProperties(size=size, math_fontfamily="cm"), dpi=72, format="svg", color=INK)
    svg = buffer.getvalue().decode()
    svg = svg[svg.index("<svg"):].replace(INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    return svg.replace("<svg ", f'<svg style="vertical-align:-{depth:.2f}pt" ', 1)


def render(self: Any, node: Any, size: float) -> str:
    """SVG of each line of a formula; its source as code, with a warning, where it cannot be drawn."""
    lines = [line for line in re.split(r"\\\\(?:\[[^\]]*\])?", node.astext()) if line.strip()]
    try:
        return "<br>".join(image(line, size) for line in lines)
    except (ValueError, RuntimeError) as error:
        LOG.warning("formula is not drawn: %s (%s)", node.astext(), str(error).splitlines()[-1], location=node)
        return f"<code>{escape(node.astext())}</code>"


def inline(self: Any, node: Any) -> None:
    """A formula within a line."""
    self.body.append(f'<span class="math-svg" role="img" aria-label="{escape(node.astext())}">{render(self, node, 12)}</span>')
    raise nodes.SkipNode


def block(self: Any, node: Any) -> None:
    """A formula on its own."""
    self.body.append(f'<div class="math-svg" role="img" aria-label="{escape(node.astext())}">{render(self, node, 13.5)}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    """Register the renderer under the name `mathtext`."""
    app.add_html_math_renderer("mathtext", inline_renderers=(inline, None), block_renderers=(block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
