"""core.logs: what is written, and that no secret ever is."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from quanticity.core import logs
from quanticity.core.config import Config
from quanticity.core.errors import ConfigError
from quanticity.core.logs import add_secrets, configure_logging, get_logger, mask_text, mask_value

ROOT = Path(__file__).resolve().parents[2]
SECRET = 'Zx9-hunter2/%"q'  # with characters that URLs, JSON and repr write differently


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    configure_logging()
    logging.getLogger().handlers = [h for h in logging.getLogger().handlers if not isinstance(h, logs._Forward)]
    logs._State.secrets = ()


@dataclass
class Credentials:
    user: str
    token: str


def written(write: Callable[[logs.Logger], None], **options: Any) -> str:
    out = io.StringIO()
    configure_logging(stream=out, **options)
    write(get_logger("quanticity.test"))
    return out.getvalue()


def test_json_is_an_object_a_line() -> None:
    text = written(
        lambda log: log.bind(symbol="GOOG").info("order refused", reason="stale_quote", size=np.float64(1.5), n=3, ok=True, none=None), json=True
    )
    (line,) = text.splitlines()
    event = json.loads(line)
    assert event.pop("ts").endswith("Z")
    assert event == {
        "level": "info",
        "event": "order refused",
        "logger": "quanticity.test",
        "symbol": "GOOG",
        "reason": "stale_quote",
        "size": 1.5,
        "n": 3,
        "ok": True,
        "none": None,
    }


def test_text_is_for_people() -> None:
    text = written(lambda log: log.warning("quote is old", seconds=901))
    assert "[warning" in text and "quote is old" in text and "seconds=901" in text and "\x1b" not in text


def test_levels() -> None:
    def write(log: logs.Logger) -> None:
        log.debug("d")
        log.info("i")
        log.warning("w")
        log.error("e")

    for level, count in (("debug", 4), ("info", 3), ("WARNING", 2), ("error", 1)):
        assert len(written(write, level=level, json=True).splitlines()) == count
    with pytest.raises(ConfigError, match="log level: got 'loud'; it wants one of debug, info, warning, error"):
        configure_logging("loud")


def test_configuring_again_takes_effect_for_loggers_made_before() -> None:
    log = get_logger("early")
    assert "early" in written(lambda _: log.info("x")) and written(lambda _: log.info("x"), level="error") == ""


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    "where",
    [
        SECRET,
        f"before {SECRET} after",
        {"a": SECRET},
        {"a": {"b": [1, ("x", {"c": SECRET})]}},
        [SECRET],
        (SECRET,),
        {SECRET: 1},
        SECRET.encode(),
        {"a": {SECRET}},
        Credentials("me", SECRET),
        RuntimeError(SECRET),
        Path("/x") / "y" / SECRET.replace("/", "_"),
        repr(SECRET),
        json.dumps({"x": SECRET}),
        SecretStr(SECRET),
    ],
)
def test_a_configured_secret_never_appears(where: Any, as_json: bool) -> None:
    secrets = [SecretStr(SECRET), SECRET.replace("/", "_"), None]
    text = written(lambda log: log.bind(bound=where).info("event", value=where), json=as_json, secrets=secrets)
    assert "event" in text and "hunter2" not in text


@pytest.mark.parametrize("as_json", [True, False])
def test_nor_in_exceptions_and_their_causes(as_json: bool) -> None:
    def write(log: logs.Logger) -> None:
        try:
            try:
                raise ValueError(f"bad {SECRET}")
            except ValueError as cause:
                raise ConnectionError(f"https://me:other-pass@host/q?apikey=third-key&n=1 {cause}") from cause
        except ConnectionError:
            log.exception("cannot connect")
            log.error("again", exc_info=True)
            logging.getLogger("some.library").error("failed with %s", SECRET, exc_info=True)

    text = written(write, json=as_json, secrets=[SECRET])
    assert text.count("ConnectionError: https://***@host") == 3 and text.count("ValueError: bad ***") == 3
    for secret in ("hunter2", "other-pass", "third-key"):
        assert secret not in text.replace('raise ConnectionError(f"', "")  # nor in the source lines of the traceback


@pytest.mark.parametrize(
    "key",
    [
        "token",
        "discord_token",
        "API_KEY",
        "apikey",
        "api-key",
        "password",
        "X-Api-Key",
        "client_secret",
        "Authorization",
        "passwd",
        "bearer_token",
        "aws_access_key",
        "credentials",
        "private_key",
    ],
)
@pytest.mark.parametrize("value", ["hunter2", 987654321, ["hunter2"], {"a": "hunter2"}])
def test_a_key_that_sounds_like_a_secret_is_masked_at_any_depth(key: str, value: Any) -> None:
    for event in ({key: value}, {"a": [{"b": ({key: value},)}]}):
        text = written(lambda log, e=event: log.info("event", **e), json=True)
        assert "hunter2" not in text and "987654321" not in text and "***" in text


@pytest.mark.parametrize(
    "text",
    [
        "redis://:hunter2@h:6379",
        "rediss://u:hunter2@h",
        "https://hunter2@github.test/x",
        "s3://key:hunter2@bucket",
        "amqp://u:p@ss-hunter2@h",
        "api_key=hunter2",
        "?symbol=A&apikey=hunter2&x=1",
        '{"api_key": "hunter2"}',
        "{'password': 'hunter2'}",
        "token: hunter2",
        'password="a hunter2 b"',
        "Authorization: Bearer hunter2",
        "authorization=Basic hunter2",
        "sent Bearer hunter2hunter2",
        "Login(user='a', token='hunter2')",
        '{\\"token\\": \\"hunter2\\"}',
        "QUANTICITY_SECRETS__DISCORD_TOKEN=hunter2",
        "OPENAI_API_KEY: hunter2",
        "password=SecretStr('hunter2')",
    ],
)
def test_text_that_gives_itself_away(text: str) -> None:
    assert "hunter2" not in mask_text(text) and "hunter2" not in mask_text(f"x {text}\ny")


@pytest.mark.parametrize(
    "text", ["GOOG 2015-12-24 747.5C bid 1.45", "redis://host:6379/0", "order o1 refused: stale_quote", "me@host.test", "12:30:05 a@b"]
)
def test_other_text_is_left_alone(text: str) -> None:
    assert mask_text(text, ["some-secret"]) == text


def test_numbers_shapes_and_circles() -> None:
    assert mask_value({"account": 12345678, "n": 1.5}, ["12345678"]) == {"account": "***", "n": 1.5}
    assert mask_value(np.int64(5)) == 5
    assert mask_value(np.arange(3)) == "[0 1 2]"
    circle: dict[str, Any] = {}
    circle["self"] = circle
    assert "..." in str(mask_value(circle))


def test_the_configurations_secrets_can_be_handed_over() -> None:
    config = Config.model_validate({"secrets": {"discord_token": SECRET, "ibkr_account": "DU1234567"}})
    text = written(lambda log: log.info("account DU1234567", t=SECRET), secrets=[value for _, value in config.secrets])
    assert "DU1234567" not in text and "hunter2" not in text
    add_secrets(["later-secret", "abc", None])
    assert "later-secret" not in written(lambda log: log.info("later-secret")) and "abc" in written(lambda log: log.info("abc"))


def test_other_libraries_warn_through_the_mask_once() -> None:
    def write(_: logs.Logger) -> None:
        logging.getLogger("lib").info("not shown")
        logging.getLogger("lib").warning("token=hunter2")

    configure_logging()  # as a module before this one may have done
    for _ in range(2):  # configured again and again, still one line
        text = written(write)
    assert text.count("\n") == 1 and "hunter2" not in text and "not shown" not in text and "[lib]" in text


def test_structlog_is_not_loaded_before_the_first_event() -> None:
    code = (
        "import sys; from quanticity.core.logs import configure_logging, get_logger; configure_logging('warning'); log = get_logger('x'); "
        "log.info('no'); "
        "print(sorted({'structlog', 'rich', 'pydantic'} & set(sys.modules))); log.warning('yes'); print('structlog' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "True"] and "yes" in done.stderr and "no " not in done.stderr
