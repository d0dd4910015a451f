"""One trading session as one flow run: replay it, then render its report.

Run it by `quanticity demo`, by `python flows/session.py`, or from a schedule (`flows/prefect.yaml`).
"""

from datetime import date as Date
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from quanticity.core.config import load_config
from quanticity.core.project import find_project
from quanticity.jobs.progress import progress_bar
from quanticity.jobs.run import ReplayRequest, replay
from quanticity.reports.session import render_session


@task(name="replay", cache_policy=NO_CACHE)
def replay_session(request: ReplayRequest) -> dict[str, Any]:
    """Drive all jobs through the session and write the run folder."""
    with progress_bar(f"replaying {request.symbol or 'SIM'} {request.day or ''}".strip()) as progress:
        return replay(request, load_config(find_project()), progress)


@task(name="report", cache_policy=NO_CACHE)
def report_session(run: Path) -> str:
    """Render the run's report; the path of its HTML."""
    return str(render_session(run).html)


@flow(name="session", flow_run_name="{source}-{symbol}-{date}", validate_parameters=True)
def session(source: str = "sim", out: str = "runs/session", data: str | None = None, symbol: str | None = None,
            date: str | None = None, seed: int = 7) -> dict[str, Any]:
    """Replay a session and render its report; returns the run's summary."""
    day = Date.fromisoformat(date) if date else None
    summary = replay_session(ReplayRequest(source, Path(out), Path(data) if data else None, symbol, day, seed))
    report_session(Path(out))
    return summary


if __name__ == "__main__":
    session()
