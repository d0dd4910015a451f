"""The truth of a simulated day is known to the simulator and to research, to nobody else."""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent.parent / "quanticity"
TRUTH = "quanticity.feeds.sim_truth"


def may_know(module: str) -> bool:
    return module.startswith(("quanticity.feeds.sim_", "quanticity.research.")) or module == "quanticity.feeds.simulator"


def imports_of(source: str, module: str) -> set[str]:
    """Dotted names of the modules that a source imports anywhere in it, relative ones resolved; `from a import b` gives a and a.b."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(module.split(".")[:-node.level]) if node.level else ""
            name = ".".join(p for p in (base, node.module) if p)
            found |= {name} | {f"{name}.{a.name}" for a in node.names}
    return found


def names_truth(source: str, module: str) -> bool:
    dynamic = any(isinstance(n, ast.Constant) and isinstance(n.value, str) and n.value.strip() in (TRUTH, "sim_truth") for n in ast.walk(ast.parse(source)))
    reads = any(isinstance(n, ast.Attribute) and n.attr == "truth" for n in ast.walk(ast.parse(source)))  # of a day that `simulate` gave
    return TRUTH in imports_of(source, module) or dynamic or reads


def test_the_check_sees_every_way_of_importing_it():
    for source in ("import quanticity.feeds.sim_truth", "from quanticity.feeds import sim_truth", "from ..feeds.sim_truth import Truth",
                   "def f():\n    from quanticity.feeds.sim_truth import read_truth", "import importlib\nimportlib.import_module('quanticity.feeds.sim_truth')",
                   "from quanticity.feeds.simulator import simulate\nregime = next(simulate(7, [])).truth.steps"):
        assert names_truth(source, "quanticity.analytics.flow"), source
    assert names_truth("from .sim_truth import Truth", "quanticity.feeds.recording")
    assert not names_truth("from quanticity.feeds.simulator import simulate_session", "quanticity.jobs.run")


def test_only_the_simulator_and_research_import_the_truth():
    guilty = []
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(("quanticity", *path.relative_to(PACKAGE).with_suffix("").parts))
        if path.name not in ("_modidx.py", "sim_truth.py") and not may_know(module) and names_truth(path.read_text(), module):
            guilty.append(module)
    assert not guilty, f"{guilty} import {TRUTH}"


def test_calculators_strategies_and_jobs_do_not_load_it():
    code = ("import quanticity.analytics.chain_analytics, quanticity.strategies.zero_dte, quanticity.signals.features, quanticity.jobs.analytics\n"
            f"import sys; print({TRUTH!r} in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_session_has_no_field_for_it():
    from quanticity.market.session import Batch, MarketSession

    fields = set(MarketSession.__dataclass_fields__) | set(Batch.__dataclass_fields__)
    assert not [name for name in fields if any(word in name for word in ("truth", "initiator", "participant", "regime", "dealer"))]
