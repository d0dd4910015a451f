"""Bytes, text, header lines and JSON of files from elsewhere: read within limits, or refused by one line."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quanticity.core.errors import DataError, DataMissing
from quanticity.feeds.files import LIMITS, Limits, decode, encoding_of, header_line, read_bytes, read_json

from .zip_support import line_of


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
