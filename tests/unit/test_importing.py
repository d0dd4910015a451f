"""The guards against hostile content, and how importers are found."""

import io
import json
import os
import sys
import types
import zipfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quanticity.core.config import DataConfig, load_config
from quanticity.core.errors import ConfigError, DataError, DataMissing, UserError
from quanticity.feeds.importing import (
    LIMITS, Importer, Limits, SessionKey, decode, detect, encoding_of, header_line, hours_of, importers, missing, number_options, read_bytes, read_json,
    unpack, unzip,
)


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, zip64: bool = False) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as z:
        for name, body in members.items():
            with z.open(name, "w", force_zip64=zip64) as file:
                file.write(body)
    return buffer.getvalue()


def line_of(error: Exception) -> str:
    text = str(error)
    assert "\n" not in text and text
    return text


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


# ------------------------------------------------------------------------------------------------------------ bytes

def test_read_bytes_reads_files_only_and_no_more_than_the_limit(tmp_path):
    file = tmp_path / "a.csv"
    file.write_bytes(b"12345")
    assert read_bytes(file) == read_bytes(file, 5) == b"12345"
    with pytest.raises(DataError, match="a.csv: 5 bytes, at most 4 are read"):
        read_bytes(file, 4)
    with pytest.raises(DataError, match="not a file"):
        read_bytes(tmp_path)
    with pytest.raises(DataMissing, match="no such file: here"):
        read_bytes(tmp_path / "absent", where="here")
    with pytest.raises(DataError):
        read_bytes(Path("a\0b"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match="not a file"):
        read_bytes(tmp_path / "pipe.csv")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission(tmp_path):
    file = tmp_path / "a.csv"
    file.write_bytes(b"1")
    file.chmod(0)
    with pytest.raises(DataError, match="cannot be read"):
        read_bytes(file)


# ------------------------------------------------------------------------------------------------------------ zips

@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("zip64", [False, True])
def test_unpack_gives_what_was_packed(method, zip64, tmp_path):
    members = {"a.csv": b"1,2\n" * 1000, "sub/b.csv": b"", "ä.csv": b"x", "sub/": b""}
    raw = packed(members, method, zip64)
    found = unpack(raw, "day.zip")
    assert dict(zip(found.names, found.bodies, strict=True)) == {name: body for name, body in members.items() if not name.endswith("/")}
    (tmp_path / "day.zip").write_bytes(raw)
    assert unzip(tmp_path / "day.zip") == found


def test_a_zip_of_nothing_is_a_zip():
    assert unpack(packed({}), "day.zip").names == ()


@pytest.mark.parametrize("zip64", [False, True])
def test_a_bomb_is_refused_before_it_is_unpacked(zip64):
    tight = Limits(unpacked_bytes=1 << 20, ratio_from=1 << 16, ratio=50)
    for members in ({"a": bytes(2 << 20)}, {str(i): bytes(40_000) for i in range(5)}):
        with pytest.raises(DataError, match="zip bomb") as caught:
            unpack(packed(members, zip64=zip64), "bomb.zip", tight)
        assert "bomb.zip" in line_of(caught.value)
    assert unpack(packed({"small": bytes(60_000)}), "ok.zip", tight).names == ("small",)  # a small file may pack as it likes


def test_more_members_than_the_limit_are_refused():
    with pytest.raises(DataError, match="a zip of 3 files, at most 2 are read"):
        unpack(packed({"a": b"", "b": b"", "c": b""}), "many.zip", Limits(members=2))


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/etc/passwd", "\\a", "C:\\a", "c:a", "..\\a", "..", "a/..", "a\nb"])
@pytest.mark.parametrize("zip64", [False, True])
def test_a_name_that_leads_out_is_refused(name, zip64):
    raw = packed({"X" * len(name): b"1"}, zip64=zip64).replace(b"X" * len(name), name.encode())
    with pytest.raises(DataError, match="leads out of its folder") as caught:
        unpack(raw, "up.zip")
    line_of(caught.value)


@pytest.mark.parametrize("name", ["a..csv", "..a/b", "a/b../c", "a b.csv", "._x"])
def test_an_odd_name_is_not(name):
    assert unpack(packed({name: b"1"}), "odd.zip").names == (name,)


def test_encrypted_and_oddly_packed_members_are_refused():
    raw = bytearray(packed({"a.csv": b"1,2\n"}))
    at = raw.rindex(b"PK\x01\x02")
    encrypted = bytearray(raw)
    encrypted[at + 8] |= 1
    with pytest.raises(DataError, match=r"member 'a.csv' is encrypted; pack it anew"):
        unpack(bytes(encrypted), "e.zip")
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with pytest.raises(DataError, match="packed by method"):
            unpack(packed({"a.csv": b"1" * 100}, method), "m.zip")


def test_a_zip_in_a_zip_is_refused():
    with pytest.raises(DataError, match="member 'in.zip' is a zip itself"):
        unpack(packed({"in.zip": packed({"a": b"1"})}), "out.zip")


def test_a_directory_that_lies_about_a_size_is_found_out():
    raw = bytearray(packed({"a.csv": bytes(5 << 20)}))
    at = raw.rindex(b"PK\x01\x02")
    raw[at + 24:at + 28] = (1000).to_bytes(4, "little")
    with pytest.raises(DataError, match="liar.zip: member 'a.csv' unpacks to more than the 1,000 bytes that its directory says"):
        unpack(bytes(raw), "liar.zip")


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_flipped_byte_gives_the_same_or_one_line(at, change):
    raw = bytearray(packed({"a.csv": b"1,2\n3,4\n" * 20, "b.csv": b"5"}))
    raw[at % len(raw)] ^= change
    try:
        found = unpack(bytes(raw), "bent.zip")
    except DataError as error:
        assert "bent.zip" in line_of(error)
    else:
        assert set(found.bodies) <= {b"1,2\n3,4\n" * 20, b"5"}


@given(st.integers(0, 400))
def test_a_zip_cut_anywhere_is_one_line(length):
    raw = packed({"a.csv": b"1,2\n3,4\n" * 20, "b.csv": b"5"})
    with pytest.raises(DataError, match="cut.zip: not a whole zip file"):
        unpack(raw[:min(length, len(raw) - 1)], "cut.zip")


# ------------------------------------------------------------------------------------------------------------ text

@given(st.text(st.characters(codec="cp1252", exclude_categories=["Cc"]), max_size=400),
       st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
def test_text_survives_its_encoding(text, encoding):
    assert decode(text.encode(encoding), "a.csv") == text or encoding == "utf-8" and text.startswith("\ufeff")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark(encoding):
    text = "time,bid,ask\n2015-12-24,5 €,6\n"
    assert decode(text.encode(encoding), "a.csv") == text


def test_windows_letters_and_what_is_no_text():
    assert decode("Crédit".encode("cp1252"), "a.csv") == "Crédit"
    for raw in (b"\x00" * 8, b"PAR1\x15\x00", b"a\x1bb", b"\x89PNG\r\n\x1a\n", b"\xff\xfe\x00", b"\xc3\x28 \x81"):
        with pytest.raises(DataError, match=r"a\.csv: not text") as caught:
            decode(raw, "a.csv")
        line_of(caught.value)
    assert encoding_of("é".encode()[:1].join([b"abc", b""]), "a.csv") == "utf-8"  # a letter cut at the end of the head


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_header_line_in_any_form(end, encoding):
    assert header_line(f"a,b é{end}1,2{end}".encode(encoding), "a.csv") == "a,b é"


def test_a_header_line_has_limits():
    limits = Limits(columns=10, line_bytes=1000)
    assert header_line(b",".join([b"x"] * 10), "a.csv", limits).count(",") == 9
    for raw, says in ((b"x," * 11, "12 columns or more, at most 10"), (b"x" * 2000, "longer than 1,000 bytes"), (b"", "an empty file"), (b"\n1,2\n", "first line is empty")):
        with pytest.raises(DataError, match=says) as caught:
            header_line(raw, "a.csv", limits)
        assert "a.csv" in line_of(caught.value)


# ------------------------------------------------------------------------------------------------------------ json

@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_json_in_any_encoding(encoding):
    value = {"data": [{"a": "1"}, {"a": "é"}]}
    assert read_json(json.dumps(value, ensure_ascii=False).encode(encoding), "a.json") == value


@pytest.mark.parametrize(("raw", "says"), [
    (b"", "an empty file"), (b"  \n", "an empty file"), (b"<html>", "line 1, column 1: not JSON"), (b'{"a": NaN}', "not JSON"), (b'{"a": Infinity}', "not JSON"),
    (b'{"a": [1,\n2', "line 2, column 2: not JSON"), (b"[" * 100_000, "not JSON"), (b'{"a"\x00: 1}', "not JSON")])
def test_what_is_no_json(raw, says):
    with pytest.raises(DataError, match=says) as caught:
        read_json(raw, "a.json")
    assert "a.json" in line_of(caught.value)


def test_json_has_limits():
    limits = Limits(json_bytes=10_000, json_values=1000, columns=20)
    for value, says in (([0] * 2000, "values, at most"), ({str(i): i for i in range(50)}, "50 keys in 1 object, at most 20"), (["x" * 20_000], "at most 10,000")):
        with pytest.raises(DataError, match=says) as caught:
            read_json(json.dumps(value, separators=(",", ":")).encode(), "a.json", limits)
        line_of(caught.value)
    assert LIMITS.json_bytes > 50 << 20  # the largest chains are ten


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
    assert "there are: none" in str(missing(Path("a"), keys[0], ()))


def test_options_are_numbers_that_are_known():
    assert number_options({"rate": "1e-2"}, "x", rate=0.5, dividend=0.25) == {"rate": 0.01, "dividend": 0.25}
    for options in ({"rat": "1"}, {"rate": "one"}, {"rate": "nan"}, {"rate": "-inf"}, {"rate": ""}):
        with pytest.raises(UserError) as caught:
            number_options(options, "x", rate=0.0)
        line_of(caught.value)
