"""One trading session as one flow run: replay it, then render its report.

Run it by `quanticity demo`, by `python flows/session.py`, or from a schedule (`flows/prefect.yaml`). What a user can mend fails the run with that
one line as its message, without a traceback. Where no Prefect server is configured (`PREFECT_API_URL`), run it `with one_server():`, whose server ends with the
process.
"""

from collections.abc import Callable
from datetime import date as Date
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Failed
from prefect_server import one_server  # the file beside this one

from quanticity.core.config import load_config
from quanticity.core.errors import UserError
from quanticity.core.project import find_project
from quanticity.jobs.progress import progress_bar
from quanticity.jobs.run import ReplayRequest, replay
from quanticity.reports.session import render_session


def told(work: Callable[[], Any]) -> Any:
    """What `work` gives; a failed state that says what was wrong where the user can mend it."""
    try:
        return work()
    except UserError as error:
        return Failed(message=str(error), data=error)


@task(name="replay", cache_policy=NO_CACHE)
def replay_session(request: ReplayRequest) -> Any:
    """Drive all jobs through the session and write the run folder; the run's summary."""
    with progress_bar(f"replaying {request.symbol or 'SIM'} {request.day or ''}".strip()) as progress:
        return told(lambda: replay(request, load_config(find_project()), progress))


@task(name="report", cache_policy=NO_CACHE)
def report_session(run: Path) -> Any:
    """Render the run's report; the path of its HTML."""
    return told(lambda: str(render_session(run).html))


@flow(name="session", flow_run_name="{source}-{symbol}-{date}", validate_parameters=True)
def session(source: str = "sim", out: str = "runs/session", data: str | None = None, symbol: str | None = None,
            date: str | None = None, seed: int = 7) -> Any:
    """Replay a session and render its report; returns the run's summary."""
    def work() -> Any:
        day = Date.fromisoformat(date) if date else None
        summary = replay_session(ReplayRequest(source, Path(out), Path(data) if data else None, symbol, day, seed))
        report_session(Path(out))
        return summary

    return told(work)


if __name__ == "__main__":
    with one_server():
        session()
