"""A sweep's trials as one flow run on Dask: `quanticity sweep --backend dask`.

The flow only carries tasks to workers and results back; what a trial is, and where its result is kept, is `quanticity.research.sweeps`. Trials
travel in chunks, since a task run costs more than a short trial. A cluster that is there is used by
`DASK_SCHEDULER_ADDRESS`; otherwise one is started on this machine.
"""

import logging
import os
from collections.abc import Sequence
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import as_completed
from prefect_dask import DaskTaskRunner

from quanticity.research.sweeps import Backend, Keep, TrialTask, in_worker, shared


@task(name="trials", cache_policy=NO_CACHE, persist_result=False)
def make_trials(tasks: list[TrialTask]) -> list[dict[str, Any]]:
    """Make some trials, side by side where they share their market."""
    return in_worker(tasks)


def on_dask(jobs: int, address: str | None = None) -> Backend:
    """A backend for `run_sweep`: a flow run whose tasks go to a Dask cluster, at `address` or of `jobs` processes on this machine."""
    address = address or os.environ.get("DASK_SCHEDULER_ADDRESS")
    cluster = {"n_workers": jobs, "threads_per_worker": 1, "processes": True, "dashboard_address": None, "silence_logs": logging.ERROR}
    runner = DaskTaskRunner(address=address) if address else DaskTaskRunner(cluster_kwargs=cluster)

    def run(tasks: Sequence[TrialTask], keep: Keep) -> None:
        groups = shared(tasks, jobs)

        @flow(name="sweep", task_runner=runner)
        def sweep(trials: int) -> int:
            futures = [make_trials.submit(group) for group in groups]
            for future in as_completed(futures):
                for record in future.result():
                    keep(record)
            return trials

        sweep(len(tasks))

    return run
