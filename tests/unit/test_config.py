"""core.config: every source, their order, what is refused and how it is said, secrets, hash, reference."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from quanticity.core.config import PROCESS_VARIABLES, Config, config_reference, load_config, variable_name
from quanticity.core.errors import ConfigError
from quanticity.core.validation import keys_of

ROOT = Path(__file__).resolve().parents[2]
ORDERS = "QUANTICITY_RISK__MAX_ORDERS_PER_DAY"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    return tmp_path


def write(project: Path, text: str, name: str = "config.yaml") -> Path:
    path = project / "config" / name
    path.write_text(text)
    return path


def refusal(project: Path, environ: dict[str, str] | None = None, overrides: dict[str, Any] | None = None) -> str:
    with pytest.raises(ConfigError) as error:
        load_config(project, environ or {}, overrides)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_without_any_source_the_defaults_hold(project: Path) -> None:
    config = load_config(project, {})
    assert config == Config()
    assert (config.risk.order_notional, config.redis.url, config.market.rate) == (2000.0, None, 0.02)
    assert config.strategies["zero_dte"].module == "quanticity.strategies.zero_dte"
    assert (config.distribution.delays.premium, config.distribution.delays.basic, config.distribution.delays.free) == (0, 60, 900)


def test_each_source_wins_over_those_below(project: Path) -> None:
    seen = [load_config(project, {}).risk.max_orders_per_day]
    write(project, "risk: {max_orders_per_day: 10, max_daily_loss: 1500}\n")
    seen.append(load_config(project, {}).risk.max_orders_per_day)
    write(project, "risk: {max_orders_per_day: 11}\n", "paper.yaml")
    seen.append(load_config(project, {"QUANTICITY_ENV": "paper"}).risk.max_orders_per_day)
    (project / ".env").write_text(f"{ORDERS}=12\nQUANTICITY_ENV=paper\n")
    seen.append(load_config(project, {}).risk.max_orders_per_day)
    seen.append(load_config(project, {ORDERS: "13"}).risk.max_orders_per_day)
    last = load_config(project, {ORDERS: "13"}, {"risk.max_orders_per_day": 14})
    assert [*seen, last.risk.max_orders_per_day] == [Config().risk.max_orders_per_day, 10, 11, 12, 13, 14]
    assert last.risk.max_daily_loss == 1500.0  # untouched keys of a lower source stay


def test_where_a_value_came_from_is_known_and_no_part_of_it(project: Path) -> None:
    file = write(project, "risk: {max_orders_per_day: 10, max_daily_loss: 1500}\nstrategies: {zero_dte: {parameters: {a: 1, b: 2}}}\n")
    config = load_config(project, {ORDERS: "13", "QUANTICITY_STRATEGIES__ZERO_DTE__PARAMETERS__B": "3"})
    parameters = "strategies.zero_dte.parameters"
    assert [config.origin(key) for key in ("risk.max_daily_loss", "risk.max_orders_per_day", f"{parameters}.a", "risk.order_notional")] == [str(file), ORDERS, str(file), ""]
    assert config.origin(parameters) == f"{file} and QUANTICITY_STRATEGIES__ZERO_DTE__PARAMETERS__B"
    assert load_config(project, {}) == load_config(project, {}, {"risk.max_daily_loss": 1500.0})


def test_a_key_of_one_section_is_not_taken_for_one_of_another(project: Path) -> None:
    write(project, "risk: {port: 1}\n")
    assert "did you mean" not in refusal(project) and "risk.max_daily_loss" in refusal(project)


def test_the_processs_environment_is_the_default(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ORDERS, "7")
    assert load_config(project).risk.max_orders_per_day == 7
    assert load_config(project, {}) == Config()


def test_without_a_root_the_current_folder_counts_and_paths_are_shown_as_given(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, "risk: {max_order_notional: lots}\n")
    monkeypatch.chdir(project)
    with pytest.raises(ConfigError) as error:
        load_config(environ={})
    assert str(error.value) == "config/config.yaml: risk.max_order_notional: got 'lots' (text), wants a number greater than 0"


def test_data_dir_is_the_short_name_and_the_long_one_wins(project: Path) -> None:
    assert load_config(project, {"QUANTICITY_DATA_DIR": "/data"}).data.recorded_dir == Path("/data")
    assert load_config(project, {"QUANTICITY_DATA_DIR": ""}).data.recorded_dir is None
    both = {"QUANTICITY_DATA__RECORDED_DIR": "/long", "QUANTICITY_DATA_DIR": "/short"}
    assert load_config(project, both).data.recorded_dir == Path("/long")
    (project / ".env").write_text("QUANTICITY_DATA__RECORDED_DIR=/file\n")  # a source below the environment
    assert load_config(project, {"QUANTICITY_DATA_DIR": "/short"}).data.recorded_dir == Path("/short")


@pytest.mark.parametrize(
    ("name", "value", "key", "wants"),
    [
        ("REDIS__URL", "redis://h:1", "redis.url", "redis://h:1"),
        ("REDIS__URL", "null", "redis.url", None),
        ("REDIS__URL", "", "redis.url", "redis://file:1"),
        ("MARKET__RATE", "0.05", "market.rate", 0.05),
        ("DISTRIBUTION__CHANNELS", '["file", "discord"]', "distribution.channels", ("file", "discord")),
        ("DISTRIBUTION__DELAYS__FREE", "1800", "distribution.delays.free", 1800.0),
        ("RISK", '{"max_open_positions": 5}', "risk.max_open_positions", 5),
        ("LOGGING__LEVEL", "WARNING", "logging.level", "warning"),
        ("PATHS__STATE_DIR", "/s", "paths.state_dir", Path("/s")),
    ],
)
def test_variables_are_converted(project: Path, name: str, value: str, key: str, wants: Any) -> None:
    write(project, "redis: {url: 'redis://file:1'}\n")
    found: Any = load_config(project, {f"QUANTICITY_{name}": value})
    for part in key.split("."):
        found = getattr(found, part)
    assert found == wants


def test_strategies_from_every_source(project: Path) -> None:
    write(project, "strategies:\n  mine: {module: a.b, playbook: c.d, symbols: [GOOG], parameters: {window: 5, deep: {x: 1}}}\n")
    environ = {"QUANTICITY_STRATEGIES__ZERO_DTE__ENABLED": "false", "QUANTICITY_STRATEGIES__MINE__PARAMETERS__WINDOW": "9"}
    config = load_config(project, environ, {"strategies.mine.parameters.deep.y": 2})
    assert not config.strategies["zero_dte"].enabled
    assert config.strategies["mine"].parameters == {"window": 9, "deep": {"x": 1, "y": 2}}
    assert config.strategies["mine"].symbols == ("GOOG",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("risk: {max_order_notional: lots}", "risk.max_order_notional: got 'lots' (text), wants a number greater than 0"),
        ("risk: {max_order_notional: '5000'}", "risk.max_order_notional: got '5000' (text), wants a number greater than 0"),
        ("risk: {max_order_notional: true}", "risk.max_order_notional: got true (true or false), wants a number greater than 0"),
        ("risk: {max_order_notional: -5}", "risk.max_order_notional: got -5 (number), wants a number greater than 0"),
        ("risk: {max_order_notional: .nan}", "risk.max_order_notional: got nan (number), wants a number greater than 0"),
        ("risk: {max_order_notional: .inf}", "risk.max_order_notional: got inf (number), wants a number greater than 0"),
        ("risk: {max_orders_per_day: 2.5}", "risk.max_orders_per_day: got 2.5 (number), wants a whole number at least 1"),
        ("strategies: {zero_dte: {enabled: 1}}", "strategies.zero_dte.enabled: got 1 (number), wants true or false"),
        ("redis: {port: 70000}", "redis.port: got 70000 (number), wants a whole number from 0 to 65535"),
        ("analytics: {dealer_convention: long}", "analytics.dealer_convention: got 'long' (text), wants one of naive, gross"),
        ("execution: {latency_steps: 0}", "execution.latency_steps: got 0 (number), wants a whole number from 1 to 60"),
        ("redis: {append_only: true}", "unknown key redis.append_only"),
        ("market: {calendar: NYSE}", "unknown key market.calendar"),
        ("data: {recorded_dir: 5}", "data.recorded_dir: got 5 (number), wants a path, or null"),
        ("data: {recorded_dir: 2015-12-24}", None),
        ("distribution: {channels: file}", "distribution.channels: got 'file' (text), wants a list of text"),
        ("risk: [1, 2]", "risk: got [1, 2] (list), wants a mapping of order_notional"),
        ("risk: {max_ordr_notional: 5}", "unknown key risk.max_ordr_notional; did you mean risk.max_order_notional?"),
        ("rsk: {}", "unknown key rsk; did you mean risk?"),
        ("max_order_notional: 5", "unknown key max_order_notional; did you mean risk.max_order_notional?"),
        ("1: 2", "unknown key 1; known here: data, paths"),
        ("strategies: {mine: {module: a.b}}", "strategies.mine.playbook: missing, wants a dotted module name"),
        ("strategies: {mine: {module: a b, playbook: c}}", "strategies.mine.module: got 'a b' (text), wants a dotted module name"),
        ("strategies: {Mine: {module: a, playbook: c}}", "strategies.Mine: the name wants lower-case letters"),
        ("strategies: {zero_dte: {symbols: [goog]}}", "strategies.zero_dte.symbols: got ['goog'] (list), wants a list of symbols in capitals"),
        ("strategies: {zero_dte: {enable: no}}", "unknown key strategies.zero_dte.enable; did you mean strategies.zero_dte.enabled?"),
    ],
)
def test_a_file_is_strict(project: Path, text: str, says: str | None) -> None:
    path = write(project, text + "\n")
    if says is None:  # a date in YAML is text enough for a path
        assert load_config(project, {}).data.recorded_dir == Path("2015-12-24")
    else:
        assert refusal(project).startswith(f"{path}: {says}")


def test_an_error_names_the_overlay_that_brought_it(project: Path) -> None:
    write(project, "risk: {max_orders_per_day: 5}\n")
    path = write(project, "risk: {max_orders_per_day: five}\n", "paper.yaml")
    assert refusal(project, {"QUANTICITY_ENV": "paper"}).startswith(f"{path}: risk.max_orders_per_day: got 'five'")


@pytest.mark.parametrize("name", ["live", "config", "../config/paper", "paper.yaml"])
def test_a_named_overlay_must_exist(project: Path, name: str) -> None:
    write(project, "{}\n")
    write(project, "{}\n", "paper.yaml")
    assert refusal(project, {"QUANTICITY_ENV": name}).startswith(f"QUANTICITY_ENV: got '{name}', but there is no ")
    (project / ".env").write_text(f"QUANTICITY_ENV={name}\n")
    assert refusal(project).endswith("overlays here: paper")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        (ORDERS, "many", f"{ORDERS}: risk.max_orders_per_day: got 'many' (text), wants a whole number at least 1"),
        (ORDERS, "0", f"{ORDERS}: risk.max_orders_per_day: got '0' (text), wants a whole number at least 1"),
        ("QUANTICITY_RISK_MAX_ORDERS_PER_DAY", "5", f"QUANTICITY_RISK_MAX_ORDERS_PER_DAY: unknown name; did you mean {ORDERS}?"),
        ("QUANTICITY_RISK__MAX_ORDER_PER_DAY", "5", f"QUANTICITY_RISK__MAX_ORDER_PER_DAY: unknown name; did you mean {ORDERS}?"),
        ("QUANTICITY_RISK__MAX_ORDER_PER_DAY", "", f"QUANTICITY_RISK__MAX_ORDER_PER_DAY: unknown name; did you mean {ORDERS}?"),
        ("QUANTICITY_DATADIR", "x", "QUANTICITY_DATADIR: unknown name; did you mean QUANTICITY_DATA_DIR?"),
        ("QUANTICITY_XYZZY", "x", "QUANTICITY_XYZZY: unknown name; names are QUANTICITY_SECTION__KEY"),
        (
            "QUANTICITY_STRATEGIES__ZERO_DTE__ENABLE",
            "x",
            "QUANTICITY_STRATEGIES__ZERO_DTE__ENABLE: unknown name; did you mean QUANTICITY_STRATEGIES__ZERO_DTE__ENABLED?",
        ),
        (
            "QUANTICITY_DISTRIBUTION__CHANNELS",
            "file",
            "QUANTICITY_DISTRIBUTION__CHANNELS: distribution.channels: got 'file' (text), wants a list of text, as JSON",
        ),
        ("QUANTICITY_RISK__NOPE", "1", "QUANTICITY_RISK__NOPE: unknown name; risk has: ORDER_NOTIONAL, MAX_ORDER_NOTIONAL, "),
        ("QUANTICITY_REDIS__NOPE", "1", "QUANTICITY_REDIS__NOPE: unknown name; redis has: URL, PORT"),
        ("QUANTICITY_RISK", '{"max_ordr": 1}', "QUANTICITY_RISK: unknown key risk.max_ordr; "),
        ("QUANTICITY_RISK", "5", "QUANTICITY_RISK: risk: got "),
        ("QUANTICITY_MARKET__RATE", "nan", "QUANTICITY_MARKET__RATE: market.rate: got 'nan' (text), wants a number from -0.1 to 1"),
        ("QUANTICITY_REDIS__URL", "me:hunter2@h", "QUANTICITY_REDIS__URL: redis.url: got '***@h' (text), wants a URL that starts with redis://"),
    ],
)
def test_a_variable_is_refused_by_its_name_also_in_dotenv(project: Path, name: str, value: str, says: str) -> None:
    assert refusal(project, {name: value}).startswith(says)
    (project / ".env").write_text(f"{name}='{value}'\n")
    assert refusal(project).startswith(f"{project / '.env'}: {says}")


def test_other_programs_variables_are_let_be(project: Path) -> None:
    (project / ".env").write_text("AWS_REGION=x\nQUANT=5\n")
    assert load_config(project, {"PATH": "/bin", "QUANT_X": "1", **dict.fromkeys(PROCESS_VARIABLES, "")}) == Config()


def test_what_dotenv_cannot_set_is_refused_there(project: Path) -> None:
    (project / ".env").write_text("QUANTICITY_CACHE_DIR=/x\n")
    assert refusal(project) == f"{project / '.env'}: QUANTICITY_CACHE_DIR: has no effect in this file; set it in the environment of the process"
    (project / ".env").unlink()
    assert load_config(project, {"QUANTICITY_CACHE_DIR": "/x"}) == Config()


def test_overrides_are_strict_and_named(project: Path) -> None:
    assert refusal(project, overrides={"risk.max_orders_per_day": "5"}).startswith("overrides: risk.max_orders_per_day: got '5' (text)")
    assert refusal(project, overrides={"risk": {"max_ordr": 5}}).startswith("overrides: unknown key risk.max_ordr")
    assert load_config(project, {}, {"data": {"recorded_dir": Path("/x")}}).data.recorded_dir == Path("/x")


def test_no_such_root(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        load_config(tmp_path / "nowhere", {})


@pytest.mark.parametrize("source", ["environ", "json", "yaml", "section", "deeper", "dotenv", "overrides"])
def test_secrets_never_show(project: Path, source: str) -> None:
    environ, overrides = {}, {}
    if source == "environ":
        environ = {"QUANTICITY_SECRETS__DISCORD_TOKN": "hunter2"}
    elif source == "json":
        environ = {"QUANTICITY_SECRETS": "{hunter2"}
    elif source == "yaml":
        write(project, "secrets: {discord_token: [hunter2]}\n")
    elif source == "section":
        write(project, "secrets: hunter2\n")
    elif source == "deeper":
        environ = {"QUANTICITY_SECRETS__DISCORD_TOKEN__X": "hunter2"}
    elif source == "dotenv":
        (project / ".env").write_text("QUANTICITY_SECRETS__DISCORD_TOKEN='hunter2\n")
    else:
        overrides = {"secrets": {"discord_token": {"a": "hunter2"}}}
    assert "hunter2" not in refusal(project, environ, overrides)


def test_a_loaded_secret_is_there_but_not_printed(project: Path) -> None:
    config = load_config(project, {"QUANTICITY_SECRETS__DISCORD_TOKEN": "hunter2", "QUANTICITY_REDIS__URL": "redis://me:s3cr3t@h:1"})
    token = config.secrets.discord_token
    assert token is not None and token.get_secret_value() == "hunter2"
    for text in (repr(config), str(config), config.model_dump_json(), str(config.public())):
        assert "hunter2" not in text
    assert "s3cr3t" not in str(config.public()) and config.public()["redis"]["url"] == "redis://h:1"
    assert config.hash() == load_config(project, {"QUANTICITY_REDIS__URL": "redis://h:1"}).hash()


def test_nothing_can_be_changed(project: Path) -> None:
    config = load_config(project, {})
    with pytest.raises(ValidationError, match="frozen"):
        config.risk.max_open_positions = 100  # type: ignore[misc]
    with pytest.raises(TypeError, match="frozen"):
        config.strategies["zero_dte"] = config.strategies["zero_dte"]


def test_the_hash_is_stable(project: Path) -> None:
    write(project, "strategies:\n  a: {module: m, playbook: p, parameters: {x: 1, y: 2}}\n  b: {module: m, playbook: p}\nrisk: {max_daily_loss: 5}\n")
    one = load_config(project, {}).hash()
    write(
        project, "risk: {max_daily_loss: 5.0}\nstrategies:\n  b: {playbook: p, module: m}\n  a: {playbook: p, module: m, parameters: {y: 2, x: 1}}\n"
    )
    assert load_config(project, {}).hash() == one
    assert load_config(project, {}, {"risk.max_daily_loss": 6}).hash() != one
    code = f"from quanticity.core.config import load_config; print(load_config({str(project)!r}, {{}}).hash())"
    for seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == one


def test_an_empty_section_or_file_changes_nothing(project: Path) -> None:
    write(project, "risk:\n# max_daily_loss: 5\nmarket:\n")
    assert load_config(project, {}) == Config()
    write(project, "# nothing\n")
    assert load_config(project, {}) == Config()


def test_the_committed_files_load_and_hold_no_secret(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")  # without this machine's .env
    assert load_config(tmp_path, {}).risk.max_open_positions >= 1
    for overlay in sorted(p.stem for p in (ROOT / "config").glob("*.yaml") if p.stem != "config"):
        load_config(tmp_path, {"QUANTICITY_ENV": overlay})
    text = (ROOT / "config" / "config.yaml").read_text()
    for name, _ in keys_of(Config):
        if not name.startswith(("secrets.", "data.columns.")):  # no column mapping is committed
            assert f"{name.split('.')[-1]}:" in text, f"config.yaml does not state {name}"
    assert "secrets:" not in text


def test_the_template_names_every_secret_and_leaves_it_empty(project: Path) -> None:
    template = (ROOT / "config" / "env.template").read_text()
    lines = [line for line in template.splitlines() if line and not line.startswith("#")]
    assert all(line.endswith("=") for line in lines)
    for name, _ in keys_of(Config):
        if name.startswith("secrets."):
            assert f"{variable_name(name)}=" in lines
    (project / ".env").write_text(template)
    assert load_config(project, {}) == Config()


def test_the_reference_has_every_key_with_its_meaning() -> None:
    page = config_reference()
    for name, field in keys_of(Config):
        assert f"| `{name}` |" in page and field.description
    assert "| `risk.max_order_notional` | a number greater than 0 | `5000.0` | dollars of premium | most for one order |" in page
    assert all(name in page for name in PROCESS_VARIABLES)
    schema = Config.model_json_schema()
    assert schema["additionalProperties"] is False and "risk" in schema["properties"]


def test_the_page_in_the_documentation_is_the_one_generated() -> None:
    assert (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8") == config_reference(), "run make keys"


def test_importing_it_loads_no_heavy_package() -> None:
    code = (
        "import sys, quanticity.core.config as c; c.load_config(None, {}); "
        "print([m for m in ('pandas', 'numpy', 'pydantic_settings', 'email_validator', 'rich', 'structlog', 'asyncio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
