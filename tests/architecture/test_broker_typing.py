"""An order that risk has not approved must not type at the broker port: mypy says so, line by line."""

import subprocess
import sys
from pathlib import Path

import pytest

SNIPPET = """\
from quanticity.core.types import OrderTicket, RiskApproved, RiskDecision, RiskRefused
from quanticity.execution.broker import Broker, ReplayBroker

def send(broker: Broker, approved: RiskApproved, refused: RiskRefused, decision: RiskDecision, ticket: OrderTicket,
         replay: ReplayBroker) -> None:
    broker.submit(approved)
    broker.submit(ticket)
    broker.submit(refused)
    broker.submit(decision)
    port: Broker = replay
    if isinstance(decision, RiskApproved):
        port.submit(decision)
"""


@pytest.mark.slow
def test_only_risk_approved_types(tmp_path):
    file = tmp_path / "snippet.py"
    file.write_text(SNIPPET)
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-m", "mypy", "--follow-imports=silent", "--no-error-summary", "--hide-error-context",
                          "--no-pretty", "--config-file", str(root / "pyproject.toml"), "--cache-dir", str(tmp_path / "cache"),
                          str(file)], capture_output=True, text=True, cwd=root, check=False)
    lines = [line.removeprefix(str(file) + ":") for line in run.stdout.splitlines() if "error:" in line]
    assert [line.split(":")[0] for line in lines] == ["7", "8", "9"], run.stdout + run.stderr
    for line, wrong in zip(lines, ("OrderTicket", "RiskRefused", "RiskApproved | RiskRefused"), strict=True):
        assert f'incompatible type "{wrong}"; expected "RiskApproved"' in line
