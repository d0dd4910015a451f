"""A process that emits, orders and delivers until it is through, and may be killed at any line: `worker.py URL FOLDER COUNT`.

Its broker is durable and idempotent like a real one: an order is a file that is made once.
"""

import dataclasses
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from quanticity.core.config import load_config
from quanticity.core.types import Contract, Proposal, Right, RiskApproved, Side
from quanticity.distribution.channels import FileChannel
from quanticity.distribution.messages import opened
from quanticity.core.types import Fill, OrderRole, plain
from quanticity.core.keys import options_by_contract, signals_distribution
from quanticity.jobs.distribution import DistributionJob
from quanticity.jobs.execution import ExecutionJob
from quanticity.jobs.signals import signal_policy
from quanticity.jobs.wiring import Desk
from quanticity.market.chain import Contracts, OptionChain, encode_rows, nanoseconds, pack_names
from quanticity.signals.lifecycle import SignalBook
from quanticity.store.state import connect

DAY = date(2015, 12, 24)
OPENS, CLOSES = datetime(2015, 12, 24, 14, 30, tzinfo=UTC), datetime(2015, 12, 24, 18, tzinfo=UTC)


class DurableBroker:
    """Takes an order once, however often it is sent: a file an order, and a line for every time it was sent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def submit(self, approved: RiskApproved) -> None:
        for ticket in approved.tickets:
            with (self.folder / ticket.id.replace("/", "-").replace(":", "-")).open("a") as file:
                file.write(f"{ticket.quantity} {ticket.limit_price}\n")

    def cancel(self, order_id: str) -> bool:
        return False

    def events(self) -> list[Any]:
        return []

    def positions(self) -> list[Any]:
        return []

    def open_orders(self) -> list[Any]:
        return []


def contract(number: int) -> Contract:
    return Contract("XYZ", date(2016, 1, 15), 100.0 + number, Right.CALL, datetime(2016, 1, 15, 21, tzinfo=UTC))


def proposal(number: int) -> Proposal:
    """One bet a number: another expiry day, so another fingerprint."""
    expiry = date(2016, 1, 15) + timedelta(days=number)
    c = dataclasses.replace(contract(number), expiry=expiry, expires_at=datetime(expiry.year, expiry.month, expiry.day, 21, tzinfo=UTC))
    return Proposal(f"pro:{number}", "zero_dte", "XYZ", OPENS + timedelta(minutes=1), c, Side.BUY, 1.0, 2.0, 0.5, CLOSES, 0.9, {}, ("chain:XYZ:1",))


def publish_quotes(desk: Desk, count: int) -> None:
    contracts = [proposal(n).contract for n in range(count)]
    n, now = len(contracts), nanoseconds(OPENS + timedelta(minutes=1))
    import numpy as np
    days = np.array([(c.expiry - date(1970, 1, 1)).days for c in contracts])
    listed = Contracts("XYZ", "XYZ", np.array([c.strike for c in contracts]), days, np.array([nanoseconds(c.expires_at) for c in contracts]),
                       np.ones(n, bool), np.full(n, 100.0))
    chain = OptionChain(1, now, listed, 100.0, "quote", 0.0, 0.0, np.full(n, 0.95), np.full(n, 1.0), np.full(n, 50.0), np.full(n, 50.0),
                        np.full(n, now), np.zeros(n), np.full(n, 10.0), np.full(n, np.nan))
    names = pack_names(listed.occ())
    desk.state.set_packed(options_by_contract("XYZ"), names.tobytes(), names.itemsize, encode_rows(chain, np.arange(n)))


def main(url: str, folder: Path, count: int) -> None:
    config = load_config(environ={}, overrides={"risk.max_open_positions": 1000, "risk.max_orders_per_day": 10_000, "risk.max_symbol_notional": 1e9,
                                                "risk.max_book_notional": 1e9, "risk.order_notional": 500.0,
                                                **{f"signals.max_live_{group}": 10_000 for group in ("symbol", "strategy", "expiry", "book")}})
    desk = Desk(connect(url, prefix="replay:chaos:"), config, "XYZ", DAY, OPENS, CLOSES)
    publish_quotes(desk, count)
    book = SignalBook(desk.state, "XYZ", desk.session, signal_policy(config.signals))
    execution = ExecutionJob(desk, DurableBroker(folder / "broker"))
    distribution = DistributionJob(desk, {"file": FileChannel(folder / "deliveries")})
    now = nanoseconds(OPENS + timedelta(minutes=1))
    for number in range(count):
        event = book.consider(proposal(number))
        execution.step(now)
        if event.kind == "signal":  # what execution hands over when the entry fills
            from quanticity.core.types import signal_from_plain
            signal = signal_from_plain(event.data)
            fill = Fill(f"{signal.id}/entry#1", f"{signal.id}/entry", signal.id, signal.proposal.contract, Side.BUY, OrderRole.ENTRY, 1, 1.0, 1.0, OPENS)
            import orjson
            desk.state.append(signals_distribution("XYZ"), {"message": orjson.dumps(plain(opened(signal, fill)))})
        distribution.step(now)
    end = nanoseconds(CLOSES)
    while distribution.next_due() or distribution.unfinished():
        distribution.step(end)
    (folder / "through").write_text("")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
