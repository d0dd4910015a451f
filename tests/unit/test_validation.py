"""core.validation: declared models, words of errors, YAML and .env files."""

import copy
import pickle
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import ValidationError

from quanticity.core.errors import ConfigError
from quanticity.core.validation import (
    FrozenDict,
    Section,
    declared,
    field_wants,
    freeze,
    got,
    key,
    keys_of,
    read_dotenv,
    read_yaml,
    refuse,
    suggestion,
)


class Engine(Section):
    power: float = key(10.0, "kW", "of the engine", gt=0, le=500)
    fuel: Literal["petrol", "diesel"] = key("petrol", "", "what it burns")


class Garage(Section):
    engines: dict[str, Engine] = key({}, "", "by name")
    places: int = key(2, "", "cars that fit", ge=0)
    owner: str | None = key(None, "", "whose it is")
    tags: tuple[str, ...] = key((), "", "words")
    secret: str = key("", "", "of the gate")


def refusal(data: dict[str, Any], **options: Any) -> str:
    with pytest.raises(ValidationError) as wrong:
        Garage.model_validate(data, strict=True)
    with pytest.raises(ConfigError) as refused:
        refuse(Garage, "garage.yaml", wrong.value, data, **options)
    return str(refused.value)


def test_frozen_mappings_refuse_every_change_and_still_copy() -> None:
    frozen = freeze({"a": [1, {"b": 2}]})
    assert frozen == {"a": (1, {"b": 2})}
    changes: list[Any] = [
        lambda: frozen.update(x=1),
        lambda: frozen.pop("a"),
        lambda: frozen.clear(),
        lambda: frozen.setdefault("x", 1),
        lambda: frozen.__setitem__("x", 1),
        lambda: frozen.__delitem__("a"),
        lambda: frozen.popitem(),
        lambda: frozen["a"][1].update(b=3),
        lambda: frozen.__ior__({"x": 1}),
    ]
    for change in changes:
        with pytest.raises(TypeError, match="frozen"):
            change()
    assert frozen == {"a": (1, {"b": 2})}
    for other in (copy.deepcopy(frozen), pickle.loads(pickle.dumps(frozen)), copy.copy(frozen)):
        assert other == frozen and isinstance(other, FrozenDict)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"places": "many"}, "garage.yaml: places: got 'many' (text), wants a whole number at least 0"),
        ({"places": True}, "garage.yaml: places: got true (true or false), wants a whole number at least 0"),
        ({"places": None}, "garage.yaml: places: got nothing (null), wants a whole number at least 0"),
        ({"engines": {"v8": {"power": 0}}}, "garage.yaml: engines.v8.power: got 0 (number), wants a number greater than 0 and at most 500"),
        ({"engines": {"v8": {"fuel": "coal"}}}, "garage.yaml: engines.v8.fuel: got 'coal' (text), wants one of petrol, diesel"),
        ({"engines": {"v8": 5}}, "garage.yaml: engines.v8: got 5 (number), wants a mapping of power, fuel"),
        ({"engines": 5}, "garage.yaml: engines: got 5 (number), wants a mapping"),
        ({"tags": ("a", 1)}, "garage.yaml: tags: got ('a', 1) (list), wants a list of text"),
        ({"owner": 7}, "garage.yaml: owner: got 7 (number), wants text, or null"),
        ({"place": 1}, "garage.yaml: unknown key place; did you mean places?"),
        ({"engines": {"v8": {"powr": 1}}}, "garage.yaml: unknown key engines.v8.powr; did you mean engines.v8.power?"),
        ({"zzz": 1}, "garage.yaml: unknown key zzz; known here: engines, places, owner, tags, secret"),
        ({"places": "x", "owner": 7}, "garage.yaml: places: got 'x' (text), wants a whole number at least 0 (and 1 more)"),
    ],
)
def test_one_line_names_source_key_got_and_wants(data: dict[str, Any], says: str) -> None:
    assert refusal(data) == says


def test_a_secret_is_not_shown() -> None:
    assert refusal({"secret": ["hunter2"]}, secret=("secret",)) == "garage.yaml: secret: got list (not shown), wants text"
    assert (
        "hunter2" not in got("redis://me:hunter2@host") and "hunter2" not in got("me:hunter2@host") and "hunter2" not in got(["http://u:hunter2@h"])
    )


def test_a_long_value_is_cut_to_a_line() -> None:
    assert len(got("x" * 500)) < 100 and "\n" not in got("a\nb")


def test_keys_and_words() -> None:
    assert [name for name, _ in keys_of(Garage)][:3] == ["engines.*.power", "engines.*.fuel", "places"]
    assert field_wants(Engine.model_fields["power"]) == "a number greater than 0 and at most 500"
    assert declared(Garage, ("engines", "v8", "size")) is None
    assert declared(Garage, ()) == (0, "a mapping of engines, places, owner, tags, secret")
    assert suggestion(Garage, ("engines", "v8", "fule")) == "did you mean engines.v8.fuel?"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [1\nb: 2\n", "line 2: not valid YAML"),
        ("a: 1\na: 2\n", "line 2: key a is there twice"),
        ("- a\n", "got list (not shown), wants a mapping"),
        ("hunter2", "got text (not shown), wants a mapping"),
        ("a: *hunter2\n", "line 1: not valid YAML"),
        ("a:\n\t- 1\n", "line 2: not valid YAML"),
        ("a: !!python/object:os.system x\n", "line 1: not valid YAML"),
        ("a: '\x00'", "not valid YAML"),
        ("x: {a: 1, b: 2, a: 3}\n", "line 1: key a is there twice"),
    ],
)
def test_broken_yaml_names_file_and_line_and_shows_nothing_of_it(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_yaml(file)
    assert str(error.value).startswith(f"{file}: ") and says in str(error.value) and "hunter2" not in str(error.value)


def test_yaml_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_yaml(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff\xfe\n")
    with pytest.raises(ConfigError, match="save it as UTF-8"):
        read_yaml(tmp_path / "latin.yaml")


def test_yaml_merge_keys_still_work(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("base: &b {x: 1}\nc:\n  <<: *b\n  y: 2\n")
    assert read_yaml(tmp_path / "a.yaml")["c"] == {"x": 1, "y": 2}


def test_dotenv_takes_the_prefix_and_expands_nothing(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# c\nQ_A=1\nexport Q_B='x ${HOME}'\nOTHER=\nQ_C\nq_d=low\n")
    assert read_dotenv(file, "Q_") == {"Q_A": "1", "Q_B": "x ${HOME}", "Q_C": "", "q_d": "low"}
    file.write_text("Q_A=1\n= hunter2\n")
    with pytest.raises(ConfigError) as error:
        read_dotenv(file, "Q_")
    assert str(error.value) == f"{file}: line 2: not of the form NAME=value"
