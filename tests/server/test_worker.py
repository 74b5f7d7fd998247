"""What a worker sets for its process before it serves."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

ALLOCATING = """
import ctypes, re, sys, tempfile, threading
from server.worker import one_arena

if sys.argv[1] == "one":
    one_arena()
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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="arenas are glibc's")
def test_all_threads_allocate_from_one_arena() -> None:
    arenas = {
        word: int(subprocess.run([sys.executable, "-c", ALLOCATING, word], capture_output=True, text=True,
                                 check=True, timeout=60).stdout)
        for word in ("one", "many")
    }  # fmt: skip
    assert arenas["one"] == 1
    assert arenas["many"] > 1, "the test would not see it"
