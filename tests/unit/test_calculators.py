"""jobs.calculators: what one of them does to the others is nothing; everything that went wrong is counted with its reason."""

import io
import json
import math
import sys
from types import ModuleType, SimpleNamespace

import pytest

from quanticity.core.errors import ConfigError
from quanticity.core.logs import configure_logging
from quanticity.core.reasons import Reason
from quanticity.jobs.calculators import Calculator, Isolated, Meter, load_calculators

CHAIN = SimpleNamespace(chain=range(7))


def calculator(result, names=("x", "y")) -> Calculator:
    def calculate(a):
        if isinstance(result, BaseException):
            raise result
        return result
    return Calculator("c", names, calculate)


@pytest.mark.parametrize("error", [ValueError("bad"), ZeroDivisionError(), KeyError("k"), MemoryError(), RecursionError("deep"), AssertionError()])
def test_whatever_it_raises_becomes_missing_values_and_a_count(error):
    apart = Isolated("SIM")
    values, missing = apart.run(calculator(error), CHAIN)
    assert all(math.isnan(v) for v in values.values()) and missing == {"x": Reason.CALCULATOR_FAILED, "y": Reason.CALCULATOR_FAILED}
    m = apart.meters["c"]
    assert (m.runs, m.rows, m.refusals, m.failures, m.reason) == (1, 7, 2, 1, Reason.CALCULATOR_FAILED) and type(error).__name__ in m.error


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_being_told_to_stop_is_no_failure(stop):
    with pytest.raises(stop):
        Isolated("SIM").run(calculator(stop()), CHAIN)


@pytest.mark.parametrize("result", [({"x": math.inf}, {}), ({"x": -math.inf}, {"x": Reason.NO_SPOT}), ({"x": math.nan}, {}), ({"x": math.nan, "y": 1.0}, {"y": Reason.NO_SPOT}), None, 3])
def test_infinite_values_and_gaps_without_reasons_are_failures(result):
    apart = Isolated("SIM")
    assert apart.run(calculator(result), CHAIN)[1] == {"x": Reason.CALCULATOR_FAILED, "y": Reason.CALCULATOR_FAILED} and apart.failures == 1


def test_reasons_of_what_is_there_are_dropped():
    values, missing = Isolated("SIM").run(calculator(({"x": 1.0, "y": math.nan}, {"x": Reason.NO_SPOT, "y": Reason.NO_QUOTE})), CHAIN)
    assert values["x"] == 1.0 and missing == {"y": Reason.NO_QUOTE}


def test_one_that_sees_the_flow_is_given_it_and_others_are_not():
    seen = Calculator("seen", ("x",), lambda a, flow: ({"x": float(flow)}, {}), sees_flow=True)
    apart = Isolated("SIM")
    assert apart.run(seen, CHAIN, 3) == ({"x": 3.0}, {}) and apart.run(calculator(({"x": 1.0}, {}), ("x",)), CHAIN, 3)[0] == {"x": 1.0}
    assert apart.run(seen, CHAIN)[1] == {"x": Reason.CALCULATOR_FAILED}  # there is no flow: its own failure


def test_the_same_failure_is_logged_once_and_another_again():
    meter, written = Meter(), io.StringIO()
    configure_logging(stream=written)
    try:
        for text in ("one", "one", "two", "two", "one"):
            meter.failed(Reason.UNREADABLE, ValueError(text), symbol="SIM")
    finally:
        configure_logging()
    assert meter.failures == 5 and written.getvalue().count("isolated") == 3 and "symbol=SIM" in written.getvalue()


def test_a_meter_is_json():
    meter = Meter(runs=3, rows=21, refusals=1)
    meter.failed(Reason.UNREADABLE, ValueError("x" * 1000))
    document = json.loads(meter.document())
    assert document == {"runs": 3, "rows": 21, "refusals": 1, "failures": 1, "seconds": 0.0, "reason": "unreadable", "error": meter.error} and len(meter.error) == 300


def test_configured_calculators(monkeypatch):
    module = ModuleType("mine_for_a_test")
    module.CALCULATOR = lambda symbol: Calculator("mine", ("x",), lambda a: ({"x": float(len(symbol))}, {}))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mine_for_a_test", module)
    made = load_calculators({"mine": "mine_for_a_test"})["mine"]("GOOG")
    assert Isolated("GOOG").run(made, CHAIN) == ({"x": 4.0}, {})
    module.CALCULATOR = 3  # type: ignore[attr-defined]
    for entries, message in (({"mine": "mine_for_a_test"}, "mine_for_a_test has no CALCULATOR"), ({"mine": "no_such_module_here"}, "no module no_such_module_here")):
        with pytest.raises(ConfigError, match=f"analytics.calculators.mine: {message}"):
            load_calculators(entries)


def test_a_module_that_breaks_when_imported_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "breaks_when_imported.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match=r"analytics\.calculators\.mine: breaks_when_imported cannot be imported: ZeroDivisionError"):
        load_calculators({"mine": "breaks_when_imported"})
