"""What a worker keeps of its memory, and gives back."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

ALLOCATING = """
import ctypes, re, sys, tempfile, threading
from mosaics.heap import steady_heap

if sys.argv[1] == "one":
    steady_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
done = threading.Barrier(5)

def allocate():
    for _ in range(2000):
        libc.malloc(3000)
    done.wait(20)
    done.wait(20)

threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads:
    thread.start()
done.wait(20)
with tempfile.NamedTemporaryFile("r") as told:
    libc.fopen.restype = ctypes.c_void_p
    file = ctypes.c_void_p(libc.fopen(told.name.encode(), b"w"))
    libc.malloc_info(0, file)
    libc.fclose(file)
    print(len(re.findall("<heap nr=", told.read())))
done.wait(20)
"""


FREEING = """
import ctypes, resource, sys
import numpy as np
from mosaics.heap import steady_heap

for threshold in (-1, -3):  # as glibc begins; loading libraries may have raised them
    ctypes.CDLL(None).mallopt(threshold, 128 << 10)
if sys.argv[1] == "kept":
    steady_heap()
for _ in range(10):
    np.ones(1 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    np.ones(1 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def told(program: str, word: str) -> int:
    line = [sys.executable, "-c", program, word]
    return int(subprocess.run(line, capture_output=True, text=True, check=True, timeout=60).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what glibc gives back")
def test_pages_of_arrays_of_a_tile_are_kept() -> None:
    faults = {word: told(FREEING, word) for word in ("kept", "given back")}
    assert faults["kept"] < 1000
    assert faults["given back"] > 2 * faults["kept"] + 100, "the test would not see it"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="arenas are glibc's")
def test_all_threads_allocate_from_one_arena() -> None:
    arenas = {word: told(ALLOCATING, word) for word in ("one", "many")}
    assert arenas["one"] == 1
    assert arenas["many"] > 1, "the test would not see it"


GIVEN_BACK = """
import re, sys
from mosaics.heap import give_back, steady_heap

steady_heap()
held = [b"x" * 100_000 for _ in range(1000)]
last = b"x" * 100_000
del held
if sys.argv[1] == "given back":
    give_back()
print(int(re.search("VmRSS:\\\\s+(\\\\d+)", open("/proc/self/status").read())[1]))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what glibc gives back")
def test_what_is_free_below_what_is_held_is_given_back() -> None:
    kilobytes = {word: told(GIVEN_BACK, word) for word in ("given back", "kept")}
    assert kilobytes["given back"] < kilobytes["kept"] - 80_000
