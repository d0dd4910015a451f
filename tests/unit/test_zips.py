"""The guards against hostile zips."""

import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quanticity.core.errors import DataError
from quanticity.feeds.files import Limits
from quanticity.feeds.zips import member_names, unpack, unzip

from .zip_support import line_of, packed


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


def test_the_names_alone_need_no_unpacking_of_a_large_zip():
    raw = packed({"a.csv": b"1,2\n" * 1000, "sub/b.csv": b"5"})
    bent = bytearray(raw)
    bent[40] ^= 8  # within the bytes of a.csv, which the directory does not hold
    assert member_names(raw, "day.zip") == ["a.csv", "sub/b.csv"]
    assert member_names(bytes(bent), "day.zip", Limits(ratio_from=100, ratio=1e6)) == ["a.csv", "sub/b.csv"]
    with pytest.raises(DataError, match="day.zip: not a whole zip file") as caught:
        member_names(bytes(bent), "day.zip")
    line_of(caught.value)
