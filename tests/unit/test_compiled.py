"""Kernels are kept as machine code, trusted only when whole and ours, and loaded without numba."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from quanticity.analytics import compiled
from quanticity.analytics.compiled import LIBRARIES, Library, columns
from quanticity.analytics.pricing import greeks

BASE = ("blocks", "special")


@pytest.fixture(scope="module", autouse=True)
def _compiled_once():
    compiled.warm_up()


def kept(library):
    """The file that holds a library's machine code."""
    name = compiled.kernel_file(library.module, library.needs)
    return next(path for path in (folder / name for folder in compiled.cache_folders()) if path.exists())


def test_warming_up_again_compiles_nothing():
    said = []
    assert compiled.warm_up(said.append) == 0 and said == []
    assert [Library(x.module, x.needs, x.arguments).load(said.append) for x in LIBRARIES] == [False] * len(LIBRARIES)


def test_a_process_that_prices_imports_neither_numba_nor_scipy():
    code = ("import sys; from quanticity.analytics.chain_analytics import analyse; from quanticity.analytics.pricing import greeks; "
            "print(float(greeks(100, 100, 1, 0, 0, 0.2, True).delta), [m for m in ('numba', 'scipy', 'pandas') if m in sys.modules])")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split(maxsplit=1)[1].strip() == "[]" and abs(float(out.stdout.split()[0]) - 0.539827837277029) < 1e-15 and out.stderr == ""


def test_a_file_that_is_torn_or_not_ours_is_not_run(tmp_path, monkeypatch):
    library = LIBRARIES[0]
    good = kept(library).read_bytes()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    path, made = tmp_path / compiled.kernel_file(library.module, library.needs), []
    monkeypatch.setattr(compiled, "compile_kernels", lambda kernels: made.append(sorted(kernels)) or good[32:])
    for content, mode in ((good[:-100], 0o644), (b"", 0o644), (good[:32] + b"\x00" * 1000, 0o644), (good, 0o666)):
        path.write_bytes(content)
        path.chmod(mode)
        fresh, said = Library(library.module, library.needs, library.arguments), []
        assert fresh.load(said.append) and "once" in said[0]
        assert path.read_bytes() == good and path.stat().st_mode & 0o022 == 0
    assert made == [["greeks", "price"]] * 4


def test_where_nothing_can_be_written_the_process_compiles_for_itself(tmp_path, monkeypatch):
    library, blocked = LIBRARIES[0], tmp_path / "file"
    good = kept(library).read_bytes()
    blocked.write_text("a file where a folder should be")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(blocked))
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    monkeypatch.setattr(compiled, "compile_kernels", lambda kernels: good[32:])
    fresh, said = Library(library.module, library.needs, library.arguments), []
    assert fresh.load(said.append) and "cannot be kept" in said[1]
    out = np.empty(10)
    given = columns((100.0, 100.0, 1.0, 0.0, 0.0, 0.2), (True,))
    fresh["greeks"](given.rows, given.strides, *given.arrays, out, np.empty(1, np.uint8))
    assert out[1] == greeks(100.0, 100.0, 1.0, 0.0, 0.0, 0.2, True).delta


def test_a_named_folder_serves_when_the_package_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(compiled, "_named", [])
    compiled.use_folder(tmp_path / "state")
    compiled.use_folder(tmp_path / "state")
    folders = compiled.cache_folders()
    assert folders[0] == Path(compiled.__file__).parent / "__pycache__" and folders[1:-1] == [tmp_path / "state"]


@pytest.mark.slow
def test_compiled_from_nothing_it_gives_the_same_bits(tmp_path):
    """Really compiles, in a process of its own, into a folder of its own."""
    code = ("import numpy as np; from quanticity.analytics.pricing import greeks; g = greeks(100.0, np.linspace(60, 160, 333), 0.1, 0.04, 0.01, 0.3, True); "
            "print(np.stack([g.price, g.delta, g.charm, g.color]).tobytes().hex())")
    environment = dict(os.environ, NUMBA_CACHE_DIR=str(tmp_path))
    first, second = (subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment) for _ in range(2))
    assert "compiling black scholes kernels" in first.stderr and second.stderr == ""
    assert first.stdout == second.stdout and [p.suffix for p in tmp_path.iterdir()] == [".kernel"]
    g = greeks(100.0, np.linspace(60, 160, 333), 0.1, 0.04, 0.01, 0.3, True)
    assert first.stdout.strip() == np.stack([g.price, g.delta, g.charm, g.color]).tobytes().hex()


def test_threads_side_by_side_give_what_one_gives():
    strike = np.linspace(50, 200, 5000)
    alone, found = greeks(100.0, strike, 0.1, 0.04, 0.01, 0.3, True).charm, {}

    def work(i):
        for _ in range(20):
            found[i] = greeks(100.0, strike, 0.1, 0.04, 0.01, 0.3, True).charm

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[i], alone) for i in range(4))


def test_columns_copy_only_what_they_must():
    full, table = np.arange(6.0), np.arange(12.0).reshape(6, 2)
    given = columns((full, table[:, 0], 3, np.arange(6)), ([True],))
    assert given.arrays[0] is full and given.strides.tolist() == [1, 1, 0, 1, 0] and given.arrays[3].dtype == np.float64
    assert all(a.flags.c_contiguous for a in given.arrays)
    with pytest.raises(ValueError):
        columns((np.arange(3.0), np.arange(2.0)))


def test_read_only_and_empty_arrays_are_taken():
    strike = np.array([90.0, 100.0])
    strike.flags.writeable = False
    np.testing.assert_array_equal(greeks(100.0, strike, 0.1, 0.0, 0.0, 0.2, True).delta, greeks(100.0, strike.copy(), 0.1, 0.0, 0.0, 0.2, True).delta)
    assert greeks(100.0, np.empty((0, 3)), 0.1, 0.0, 0.0, 0.2, True).delta.shape == (0, 3)
