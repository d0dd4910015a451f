"""The file channel: whole files, the same twice, and one line where it cannot write."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from quanticity.core.errors import OutputError
from quanticity.core.types import Delivery, Tier
from quanticity.distribution.channels import FileChannel

DUE = datetime(2015, 12, 24, 15, 3, 4, tzinfo=UTC)


def delivery(tier=Tier.BASIC, message="msg:sig:00ff:opened", text="OPENED\nGOOG ünïcode", due=DUE, ts=DUE) -> Delivery:
    return Delivery(f"{message}@{tier.value}/file", message, tier, "file", due, ts, text)


def files(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text(encoding="utf-8") for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_delivery_is_a_file_in_its_tiers_folder(tmp_path):
    FileChannel(tmp_path / "new" / "folder").send(delivery())
    assert files(tmp_path) == {"new/folder/basic/20151224T150304-msg-sig-00ff-opened.txt": "OPENED\nGOOG ünïcode\n"}


def test_sent_again_it_is_one_file(tmp_path):
    channel = FileChannel(tmp_path)
    for ts in (DUE, datetime(2015, 12, 24, 16, tzinfo=UTC)):
        channel.send(delivery(ts=ts))
    assert len(files(tmp_path)) == 1


def test_tiers_messages_and_times_have_files_of_their_own(tmp_path):
    channel = FileChannel(tmp_path)
    for one in (delivery(), delivery(Tier.FREE), delivery(message="msg:sig:00ff:closed"), delivery(due=DUE.replace(minute=9))):
        channel.send(one)
    assert len(files(tmp_path)) == 4


@pytest.mark.parametrize("message", ["../../etc/passwd", "/abs/olute", "..", "a/../../b", "msg:\n:x"])
def test_no_message_id_leads_out_of_the_folder(tmp_path, message):
    inner = tmp_path / "deliveries"
    channel = FileChannel(inner)
    path = channel.path(delivery(message=message))
    assert path.parent == inner / "basic" and "/" not in path.name and path.resolve().is_relative_to(inner.resolve())
    channel.send(delivery(message=message))
    assert list(files(tmp_path)) == [str(path.relative_to(tmp_path))]


def test_where_it_cannot_write_it_says_so_in_a_line_and_leaves_nothing(tmp_path):
    (tmp_path / "basic").write_text("in the way")
    with pytest.raises(OutputError) as error:
        FileChannel(tmp_path).send(delivery())
    assert str(error.value).startswith(f"cannot write {tmp_path / 'basic'}") and "--out" in str(error.value) and "\n" not in str(error.value)
    assert files(tmp_path) == {"basic": "in the way"}


def test_a_file_that_cannot_be_replaced_is_an_error_too(tmp_path):
    channel = FileChannel(tmp_path)
    channel.path(delivery()).mkdir(parents=True)
    (channel.path(delivery()) / "occupied").write_text("x")
    with pytest.raises(OutputError, match="cannot write"):
        channel.send(delivery())
    assert [name.rpartition("/")[2] for name in files(tmp_path)] == ["occupied"]


def test_what_failed_leaves_no_half_written_file(tmp_path):
    channel = FileChannel(tmp_path)
    channel.path(delivery()).mkdir(parents=True)
    with pytest.raises(OutputError):
        channel.send(delivery())
    assert files(tmp_path) == {}


def test_no_space_left_is_reported_as_such():
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")

    class OntoFull(FileChannel):
        """The real channel on a folder whose partial file is a link to the full device."""

        def path(self, delivery: Delivery) -> Path:
            path = super().path(delivery)
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            if not partial.is_symlink():
                partial.symlink_to(full)
            return path

    import tempfile
    with tempfile.TemporaryDirectory() as folder, pytest.raises(OutputError, match="No space left on device"):
        OntoFull(Path(folder)).send(delivery())
