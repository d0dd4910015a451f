"""How importers are found and chosen, and what they share."""

import sys
import types
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from quanticity.core.config import DataConfig, load_config
from quanticity.core.errors import ConfigError, DataError, DataMissing, UserError
from quanticity.feeds.importing import Importer, SessionKey, detect, hours_of, importers, missing, number_options

from .zip_support import line_of, packed


@dataclass(frozen=True)
class Fake:
    name: str
    suffix: str

    def recognises(self, path):
        return path.suffix == self.suffix

    def sessions(self, path):
        return ()

    def load(self, path, key, options={}):
        raise DataMissing("none", "none")


# ------------------------------------------------------------------------------------------------------------ importers


def test_keys_sort_by_symbol_day_and_source():
    keys = [SessionKey("B", date(2020, 1, 2), "x"), SessionKey("A", date(2020, 1, 3), "x"), SessionKey("A", date(2020, 1, 2), "y")]
    assert sorted(keys) == [keys[2], keys[1], keys[0]]
    assert str(keys[0]) == "B 2020-01-02 (x)" and len({*keys, SessionKey("B", date(2020, 1, 2), "x")}) == 3


def test_all_configured_importers_load_in_the_order_of_the_configuration():
    found = importers(DataConfig().importers, DataConfig())
    assert list(found) == ["lean", "cboe", "alphavantage", "columns", "recording"]
    assert all(isinstance(importer, Importer) and importer.name == name for name, importer in found.items())


def test_a_new_format_is_one_entry(tmp_path, monkeypatch):
    module = types.ModuleType("my_desk_format")
    module.IMPORTER = Fake("desk", ".desk")
    monkeypatch.setitem(sys.modules, "my_desk_format", module)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("data: {importers: {desk: my_desk_format}}\n")
    config = load_config(tmp_path, {})
    found = importers(config.data.importers, config.data)
    assert list(found)[-1] == "desk" and len(found) == 6  # the others stay
    (tmp_path / "a.desk").write_text("x")
    assert detect(tmp_path / "a.desk", found) is module.IMPORTER


@pytest.mark.parametrize(("module", "says"), [
    ("no.such.module", "data.importers.mine: no module no"), ("json", "json has no IMPORTER"), ("broken_format", "cannot be imported: ZeroDivisionError")])
def test_an_importer_that_cannot_be_loaded_names_its_key(module, says, tmp_path, monkeypatch):
    (tmp_path / "broken_format.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="data.importers.mine") as caught:
        importers({"mine": module})
    assert says in line_of(caught.value)


def test_configuration_errors_name_file_key_and_wants(tmp_path):
    (tmp_path / "config").mkdir()
    file = tmp_path / "config" / "config.yaml"
    for text, says in (("{names: {bidd: b}}", "unknown key data.columns.eod.names.bidd; did you mean data.columns.eod.names.bid?"),
                       ("{zone: Mars}", "data.columns.eod.zone: got 'Mars' (text), wants a time zone such as America/New_York or UTC"),
                       ("{timestamp_format: seconds}", "wants iso, s, ms, us, ns, or a pattern"), ("{price_scale: 0}", "wants a number greater than 0"),
                       ("{date_format: ms}", "wants iso, or a pattern such as %m/%d/%Y")):
        file.write_text(f"data: {{columns: {{eod: {text}}}}}\n")
        with pytest.raises(ConfigError) as caught:
            load_config(tmp_path, {})
        assert says in line_of(caught.value) and "config.yaml" in str(caught.value)


def test_detect_says_what_to_do(tmp_path):
    known = {"a": Fake("a", ".a"), "also": Fake("also", ".a"), "b": Fake("b", ".b")}
    for name in ("x.a", "x.b", "x.c", "nothing"):
        (tmp_path / name).write_text("" if name == "nothing" else "x")
    assert detect(tmp_path / "x.b", known).name == "b"
    for name, says in (("x.a", "could be a or also; say which with --format"), ("x.c", "not a format that is known; formats are a, also, b"),
                       ("nothing", "an empty file"), ("absent", "no such file or folder")):
        with pytest.raises(DataError, match=says) as caught:
            detect(tmp_path / name, known)
        assert name in line_of(caught.value)


def test_detect_names_what_is_wrong_with_a_zip_that_nobody_knows(tmp_path):
    hostile = {"bomb.zip": packed({f"{i}.csv": bytes(20 << 20) for i in range(8)}), "up.zip": packed({"../../quotes.csv": b"1,2\n"}),
               "inner.zip": packed({"in.zip": packed({"a": b"1"})}), "cut.zip": packed({"a.csv": b"1,2\n" * 99})[:-9], "other.zip": packed({"read.me": b"1"})}
    says = {"bomb.zip": r"unpack to 167,772,160, [0-9,]+ times as many \(member '0.csv' alone to 20,971,520\), as a zip bomb does",
            "up.zip": r"a member is called '../../quotes.csv', which leads out of its folder", "inner.zip": "member 'in.zip' is a zip itself",
            "cut.zip": "not a whole zip file", "other.zip": r"a zip of 1 file \(read.me\), not a format that is known; formats are b"}
    for name, raw in hostile.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_bytes(raw)
        with pytest.raises(DataError, match=says[name]) as caught:
            detect(tmp_path / name / name, {"b": Fake("b", ".b")})
        assert name in line_of(caught.value)
    with pytest.raises(DataError, match="a zip bomb"):
        detect(tmp_path / "bomb.zip", {"b": Fake("b", ".b")})  # the folder that it lies in


# ------------------------------------------------------------------------------------------------------------ shared


def test_hours_are_the_calendars_or_one_line_naming_the_file():
    opens, closes = hours_of("SPX", date(2021, 1, 4), "a.csv")
    assert (opens.hour, closes.hour, closes.minute) == (14, 21, 15)
    for day in (date(2021, 1, 3), date(1921, 1, 3), date(2999, 1, 4)):
        with pytest.raises(DataError, match=r"a\.csv: ") as caught:
            hours_of("SPX", day, "a.csv")
        line_of(caught.value)


def test_what_is_missing_names_the_nearest():
    keys = [SessionKey("GOOG", date(2015, 12, day), "lean") for day in range(1, 25)] + [SessionKey("SPX", date(2015, 12, 20), "lean")]
    text = line_of(missing(Path("a"), SessionKey("GOOG", date(2015, 12, 31), "lean"), keys))
    assert "there are: GOOG 2015-12-24 (lean)" in text and text.count("GOOG") == 6
    assert str(missing(Path("a"), keys[0], ())).endswith("it holds no session: quanticity data import brings some into a lake")


def test_options_are_numbers_that_are_known():
    assert number_options({"rate": "1e-2"}, "x", rate=0.5, dividend=0.25) == {"rate": 0.01, "dividend": 0.25}
    for options in ({"rat": "1"}, {"rate": "one"}, {"rate": "nan"}, {"rate": "-inf"}, {"rate": ""}):
        with pytest.raises(UserError) as caught:
            number_options(options, "x", rate=0.0)
        line_of(caught.value)
