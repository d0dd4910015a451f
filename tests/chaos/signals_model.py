"""What emission is meant to do, in plain Python: dictionaries, one step at a time, no store. Tests compare every step of the real thing with it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from quanticity.core.types import Proposal, Signal
from quanticity.signals.scoring import SignalPolicy, contract_fingerprint, fingerprint, lock_end, score

NEXT = {"pending": ("submitted", "refused"), "submitted": ("filled", "expired"), "filled": ("closed",)}
ENDS = ("refused", "expired", "closed")


@dataclass
class Lock:
    holder: str
    until: datetime
    ended: bool = False


@dataclass
class Live:
    signal: Signal
    cents: int
    until: datetime

    @property
    def locks(self) -> tuple[str, str]:
        return self.signal.fingerprint, contract_fingerprint(self.signal.proposal)

    @property
    def groups(self) -> dict[str, str]:
        p = self.signal.proposal
        return {"symbol": p.symbol, "strategy": p.strategy, "expiry": p.contract.expiry.isoformat(), "book": ""}


@dataclass
class Model:
    policy: SignalPolicy
    aims: dict[str, float]
    live: dict[str, Live] = field(default_factory=dict)
    locks: dict[str, Lock] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def release(self, name: str) -> None:
        if (gone := self.live.pop(name, None)) is not None:
            for lock in gone.locks:
                if lock in self.locks and self.locks[lock].holder == name and not self.locks[lock].ended:
                    del self.locks[lock]

    def clear(self, now: datetime) -> None:
        for name in [n for n, entry in self.live.items() if entry.until <= now]:
            self.release(name)
            self.count("lapsed")
        for name in [n for n, lock in self.locks.items() if lock.ended and lock.until <= now]:
            del self.locks[name]

    def propose(self, p: Proposal, drifting: bool = False) -> str | None:
        """Why it is vetoed, or None where it is a signal."""
        self.count("proposals")
        reason = self._reason(p, drifting)
        self.count("vetoes" if reason else "signals")
        return reason

    def _reason(self, p: Proposal, drifting: bool) -> str | None:
        signal = score(p, self.policy, drifting)
        if not isinstance(signal, Signal):
            return signal[0].value
        self.clear(p.ts)
        if signal.id in self.states:
            return "duplicate"
        bet, contract = self.locks.get(fingerprint(p)), self.locks.get(contract_fingerprint(p))
        if bet and bet.until > p.ts:
            return "cooldown" if bet.ended else "already_live"
        if contract and contract.until > p.ts:
            return "same_exposure"
        entry = Live(signal, round(self.aims[p.strategy] * signal.size_factor * 100), lock_end(signal, self.policy))
        for kind, value in entry.groups.items():
            cap, among = getattr(self.policy.caps, kind), [e for e in self.live.values() if e.groups[kind] == value]
            if cap.signals is not None and len(among) + 1 > cap.signals:
                return f"cap_{kind}"
            if cap.dollars is not None and sum(e.cents for e in among) + entry.cents > cap.dollars * 100:
                return f"cap_{kind}"
        self.live[signal.id], self.states[signal.id] = entry, "pending"
        for name in entry.locks:
            self.locks[name] = Lock(signal.id, entry.until)
        return None

    def move(self, signal: Signal, outcome: str, now: datetime) -> bool:
        """Whether the signal may go there; what ends lets go of its locks, and its bet rests."""
        target = outcome.partition(":")[0]
        if target not in NEXT.get(self.states.get(signal.id, "").partition(":")[0], ()):
            self.count("illegal")
            return False
        self.count(target)
        self.states[signal.id] = outcome
        if target in ENDS:
            self.release(signal.id)
            self.clear(now)
            lock = self.locks.get(signal.fingerprint)
            if lock is None or lock.holder == signal.id:
                self.locks[signal.fingerprint] = Lock(signal.id, now + self.policy.cooldown, True)
        return True


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)
