"""The page docs/reference/reasons.md: every reason code, where it shows and what it means. `docs/readme.py` writes it."""

from quanticity.core.reasons import Reason

# heading, where the codes show, and the meaning of each; a code that is missing here stops the generation
SECTIONS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("A market-data row not taken", "`refusals` in `summary.json`; the hash `monitoring:data:{symbol}`.", {
        "crossed_quote": "the bid is above the ask (a locked quote, bid equal to ask, is taken)",
        "negative_price": "a price of zero or less, or a negative size",
        "not_a_number": "a price or size that is infinite, or a size or trade price that is not a number",
        "unknown_contract": "the row names a contract that the session does not list",
        "out_of_order": "a row that is older than the one before it",
        "outside_session": "a row that became known before the session's open or after its close",
        "clock_skew": "a row far ahead of its tape, or a feed whose clock is off: underlying and options agree only when one of them is shifted in time",
        "duplicate_row": "the row repeats the one before it",
        "price_jump": "a price beyond a robust band around what was known before",
        "off_quote": "a trade far outside the quotes that stood",
        "inconsistent_bar": "a bar whose high is below its low, or whose open or close lies outside them",
        "wrong_multiplier": "the contract's multiplier is not that of its root",
        "wrong_expiry": "the contract expires on a day without a session, before the day, or beyond any listing",
        "parity_violation": "prices of calls and puts of a strike that no arbitrage-free market could show, or outside the static bounds",
        "split": "the underlying's price and yesterday's close are apart by a simple ratio",
        "locked_quote": "noted: bid equals ask",
        "no_bid": "noted: no bid", "no_ask": "noted: no ask", "empty_quote": "noted: neither side",
        "zero_size": "a price without a size",
        "unchanged_quote": "noted: the quote stood still while the underlying left it behind",
        "gap": "noted: minutes without a row where there usually are some"}),
    ("A number not computed", "`missing` of an `analytics:{symbol}:{metric}` document; `zero_gamma_reason` in `snapshots.parquet`; the hash "
     "`monitoring:analytics:{symbol}`.", {
        "no_quote": "no two-sided quote (for an order: the contract was never quoted)",
        "no_spot": "the underlying has no price yet, and options do not imply one",
        "no_open_interest": "no open interest, so no exposure",
        "no_time_value": "what is left over intrinsic value is rounding error",
        "below_intrinsic": "the premium is below the discounted intrinsic value",
        "above_bound": "the premium is at or above what any volatility could give",
        "expired": "the contract has stopped trading",
        "not_converged": "so near the upper bound that no volatility can be told from another",
        "no_crossing": "gamma exposure does not cross zero within the range searched",
        "adjusted_contract": "the contract's deliverable was adjusted: what its root says of multiplier and deliverable does not hold",
        "too_few_strikes": "not enough strikes with a volatility to read a skew or the money from",
        "too_little_history": "fewer values than a statistic needs",
        "constant_history": "the history does not vary, so there is no scale to measure by",
        "no_trades": "nothing traded", "no_volume": "no volume to divide by",
        "no_imbalance": "no closing imbalance was published",
        "negative_variance": "a variance between two expiries that is below zero: the term structure allows arbitrage",
        "no_such_cluster": "no cluster of flow is clearly of that kind",
        "unreadable": "what was published cannot be read",
        "calculator_failed": "the calculator raised an error; the others went on",
        "mixed_conventions": "exposures under different dealer conventions cannot be added up"}),
    ("A proposal not made", "Ledger lines of kind `skip`; the hash `signals:veto:{symbol}`.", {
        "outside_window": "before the playbook's start or after its end",
        "feature_missing": "a feature that the strategy needs has no value; the detail names it and why",
        "feature_stale": "a feature is older than two analytics steps (the reason beside a missing feature)",
        "too_early": "the session is younger than the lookback (the reason beside a missing feature)",
        "regime_gated": "the playbook does not run on this symbol, under this sign of gamma or in this volatility regime; or the strategy needs another one",
        "low_quality": "the snapshot's quality score is below what the playbook wants, or a feature that guards the trade is missing",
        "low_confidence": "the setting is too weak for a proposal; as a veto: confidence below `signals.min_confidence`",
        "no_such_expiry": "no listed contract expires on the day the strategy trades",
        "no_liquid_contract": "no contract near the one aimed at has a quote that can be traded, or too few contracts are quoted",
        "strategy_failed": "the strategy raised an error (or answered with what is no answer); the others went on",
        "strategy_backoff": "the strategy failed lately and is not asked again yet",
        "breaker_open": "the strategy failed `signals.failures_to_open` times in a row and rests until it is tried again"}),
    ("A proposal vetoed", "Ledger lines of kind `veto`, beside `low_confidence`; the hash `signals:veto:{symbol}`.", {
        "duplicate": "this very proposal was emitted before",
        "already_live": "a signal with the same fingerprint is live",
        "cooldown": "a signal with the same fingerprint ended less than `signals.cooldown_seconds` ago",
        "same_exposure": "a live signal of another strategy holds this very contract, on the same side",
        "cap_symbol": "with this one over `signals.max_live_symbol` or `signals.max_premium_symbol`",
        "cap_strategy": "with this one over `signals.max_live_strategy` or `signals.max_premium_strategy`",
        "cap_expiry": "with this one over `signals.max_live_expiry` or `signals.max_premium_expiry`",
        "cap_book": "with this one over `signals.max_live_book` or `signals.max_premium_book`",
        "safe_mode": "features drift: `signals.safe_mode` lets through only the surest proposals, or none",
        "signal_expired": "risk saw the signal after its time to live (ledger kind `refusal`)"}),
    ("An order refused by risk", "Ledger lines of kind `refusal`.", {
        "invalid_proposal": "the proposal's target and stop are not on either side of its limit",
        "below_one_contract": "one contract costs more than the size aimed at",
        "max_order_notional": "over `risk.max_order_notional`",
        "max_symbol_notional": "with this order over `risk.max_symbol_notional`",
        "max_book_notional": "with this order over `risk.max_book_notional`",
        "max_open_positions": "already `risk.max_open_positions` open",
        "max_daily_loss": "the session's loss has reached `risk.max_daily_loss`",
        "max_orders": "a bracket of three more would exceed `risk.max_orders_per_day`",
        "spread_too_wide": "the quote is wider than `risk.max_relative_spread` of its middle",
        "market_closed": "the session has closed",
        "too_close_to_expiry": "less than `risk.minutes_before_expiry` left, or past the proposal's time of exit",
        "stale_quote": "the quote is older than `market.max_quote_age_seconds`",
        "short_not_allowed": "a sale to open: 0.1.0 only buys options to open"}),
    ("An order that ended without a (further) fill", "`reason` of ledger lines of kind `cancel`; the first three are an `obstacle`: what last kept "
     "the order from filling.", {
        "empty_side": "nothing shows on the side to be taken (also a refusal)",
        "not_marketable": "the limit is not reached",
        "size_exhausted": "what shows has been taken already",
        "order_expired": "its `good_till` has come: an entry works for the signal's time to live",
        "oca_cancelled": "another order of its one-cancels-all group filled",
        "user_cancelled": "the platform cancelled it: an entry still open at the time of exit",
        "parent_not_filled": "the entry it belongs to ended with nothing left for it to close"}),
    ("A step of a job that was not made", "The hash `monitoring:analytics:{symbol}`.", {
        "overrun": "the step before it took longer than the cadence: it is counted, not made up for",
        "lease_lost": "another worker serves the symbol now"}),
)


class Problem(Exception):
    """A reason code that is not explained here, or that is explained and does not exist."""


def page() -> str:
    """The page in Markdown."""
    explained = [code for _, _, codes in SECTIONS for code in codes]
    if odd := sorted(set(explained) ^ {reason.value for reason in Reason}):
        raise Problem(f"docs/reasons.py and quanticity.core.reasons disagree on: {', '.join(odd)}")
    lines = ["# Reason codes", "", "Generated from `quanticity.core.reasons` and `docs/reasons.py` by `make readme`; do not edit.", "",
             "One enumeration says why something was not done. A code that serves in two places stands where it is commonest."]
    for heading, where, codes in SECTIONS:
        lines += ["", f"## {heading}", "", f"Where it shows: {where}", "", "| code | meaning |", "|---|---|",
                  *(f"| `{code}` | {meaning} |" for code, meaning in codes.items())]
    return "\n".join(lines) + "\n"
