"""`quanticity bias` as a user runs it: clean, biased and what cannot be judged; a strategy of the current folder; JSON and nothing else."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .support import COMMAND, environment, one_line

SUPPORT = Path(__file__).parent.parent / "support"
HALF_DAY = ("--date", "2025-11-28", "--seed", "7")
SLOW_STEPS = {"QUANTICITY_MARKET__STEP_SECONDS": "300"}


def bias(folder: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """`quanticity bias ARGUMENTS` in a folder of one's own."""
    return subprocess.run([str(COMMAND), "bias", *arguments], cwd=folder, env=environment(folder, **(SLOW_STEPS | variables)), capture_output=True, text=True, timeout=120)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("planted_base", "planted_faults", "planted_clean"):
        shutil.copy(SUPPORT / f"{name}.py", tmp_path)
    return tmp_path


def test_a_strategy_of_the_configuration_is_clean(tmp_path: Path) -> None:
    done = bias(tmp_path, "--strategy", "zero_dte", *HALF_DAY)
    assert (done.returncode, done.stderr) == (0, "")
    assert "zero_dte on SIM 2025-11-28 (sim): clean" in done.stdout
    for check in ("determinism", "look ahead", "warm up", "contract choice", "stale quotes"):
        assert check in done.stdout


def test_json_is_one_object_and_nothing_else(folder: Path) -> None:
    (folder / "talks.py").write_text("from planted_faults import OffByOne as Fault\nprint('imported')\nclass OffByOne(Fault):\n"
                                     "    def propose(self, features, chain, parameters, held):\n        print('asked')\n"
                                     "        return super().propose(features, chain, parameters, held)\n")
    done = bias(folder, "--strategy", "talks:OffByOne", "-p", "threshold=0.01", "-p", "max_quote_age=120.0", *HALF_DAY, "--json")
    assert done.returncode == 1 and "asked" in done.stderr
    document = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} in the JSON"))
    assert document["strategy"] == "planted" and document["session"] == "SIM 2025-11-28" and document["clean"] is False
    found = {c["check"]: c["findings"] for c in document["checks"]}
    assert [f["feature"] for f in found["look_ahead"]] == ["last_return"] and all(not f for name, f in found.items() if name != "look_ahead")
    (finding,) = found["look_ahead"]
    assert finding["at"] == "2025-11-28T14:35:00Z" and isinstance(finding["before"], float) and finding["after"] is None


BAD = {
    "a module that raises": (("--strategy", "raises"), "raises cannot be imported: ZeroDivisionError: division by zero"),
    "an unknown parameter": (("--strategy", "zero_dte", "-p", "min_strech=1"), "strategies.zero_dte.parameters: unknown parameter min_strech"),
    "no time to wait": (("--strategy", "zero_dte", "--timeout", "0"), "--timeout: got 0; a number of seconds above 0"),
    "a file": (("--strategy", "fails.py"), "the file fails.py is the module fails"),
    "a closed day": (("--strategy", "zero_dte", "--date", "2025-11-27"), "2025-11-27"),
    "one that fails when asked": (("--strategy", "fails", *HALF_DAY), "strategy fails: propose fails with IndexError: list index out of range at 09:30"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_judged_is_one_line(case: str, folder: Path) -> None:
    (folder / "raises.py").write_text("1 / 0\n")
    (folder / "fails.py").write_text("from dataclasses import dataclass\nNAME = 'fails'\n@dataclass(frozen=True)\nclass Parameters:\n    a: int = 1\n"
                                     "def propose(features, chain, parameters):\n    return [][1]\n")
    arguments, text = BAD[case]
    done = bias(folder, *arguments)
    assert text in one_line(done)
    assert done.stdout == ""


def test_the_same_bytes_on_a_busy_machine_and_by_another_hash_seed(folder: Path) -> None:
    """Two at once beside two loops that take all there is, each with another order of its sets: what comes out is what comes out alone."""
    arguments = ("--strategy", "planted_faults:PartialWindow", *HALF_DAY, "--quick", "--json")
    alone = bias(folder, *arguments, PYTHONHASHSEED="1")
    assert alone.returncode == 1 and json.loads(alone.stdout)["checks"][2]["findings"][0]["feature"] == "above_hour"
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        both = [subprocess.Popen([str(COMMAND), "bias", *arguments], cwd=folder, env=environment(folder, **SLOW_STEPS, PYTHONHASHSEED=seed), stdout=subprocess.PIPE, text=True)
                for seed in ("2", "31337")]
        assert [process.communicate(timeout=240)[0] for process in both] == [alone.stdout] * 2
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def test_one_that_does_not_come_back_is_one_line(folder: Path) -> None:
    text = "from dataclasses import dataclass\nNAME = 'loops'\n@dataclass(frozen=True)\nclass Parameters:\n    a: int = 1\ndef propose(features, chain, parameters):\n    while True:\n        pass\n"
    (folder / "loops.py").write_text(text)
    (folder / "loads.py").write_text("while True:\n    pass\n")
    for name, what in (("loops", "strategy loops: propose"), ("loads", "the import of loads")):
        done = bias(folder, "--strategy", name, *HALF_DAY, "--timeout", "1")
        assert f"{what} does not come back from 1 s of computing; mend the strategy, or give it longer with --timeout" in one_line(done)
        assert done.stdout == ""


def test_quick_is_a_sample_and_says_so(folder: Path) -> None:
    done = bias(folder, "--strategy", "planted_faults:OffByOne", *HALF_DAY, "--quick")
    assert done.returncode == 1 and "cut off at 24 of 43 decisions, 2 other futures" in done.stdout and "asked at 24 of 43 decisions" in done.stdout


def test_help_teaches(tmp_path: Path) -> None:
    done = bias(tmp_path, "--help")
    assert done.returncode == 0
    for word in ("--strategy", "module:Class", "--json", "Exit code 0: clean; 1: biased; 2: it could not be judged", "Examples:", "Processor seconds", "ten times as long"):
        assert word in " ".join(done.stdout.split())


def test_the_guides_example_is_what_comes_out(tmp_path: Path) -> None:
    """The fault of the guide and its cure, run as the guide says: the same verdict and finding, word for word."""
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "bias.md").read_text()
    fault = re.search(r"```python\n(from dataclasses.*?)```", guide, re.S)
    cure = re.search(r"```python\n(    average = .*?\n)```", guide, re.S)
    shown = re.findall(r"```text\n\$ quanticity (bias .*?)\n(.*?)```", guide, re.S)
    assert fault and cure and len(shown) == 2
    for text, (arguments, output), code in zip((fault[1], re.sub(r"    average = .*?\n", lambda m: cure[1], fault[1], count=1)), shown, (1, 0), strict=True):
        (tmp_path / "vwap_reversal.py").write_text(text)
        done = bias(tmp_path, *arguments.split()[1:], QUANTICITY_MARKET__STEP_SECONDS="60")
        assert (done.returncode, done.stderr) == (code, "")
        assert told(done.stdout) == told(output) and len(told(output)) == 1 + code


def told(output: str) -> list[str]:
    """The verdict and the findings as sentences."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    after = lines[next(n for n, line in enumerate(lines) if line.startswith("keeps state")) + 1:]
    return [lines[0], *([" ".join(after)] if after else [])]
