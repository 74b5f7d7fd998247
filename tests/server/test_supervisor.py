"""What of the supervisor needs no running server: the port, and the folder of counters."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from server.metrics import Metrics
from server.shared import make_metrics_folder
from server.supervisor import PortTakenError, free_port


def test_a_free_port_is_given_and_can_be_listened_on() -> None:
    port = free_port("127.0.0.1", 0)
    assert free_port("127.0.0.1", port) == port
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortTakenError, match=str(port)):
        free_port("127.0.0.1", port)


def test_a_port_is_taken_even_from_those_who_would_share_it() -> None:
    with socket.socket() as sharing:
        sharing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sharing.bind(("127.0.0.1", 0))
        sharing.listen()
        with pytest.raises(PortTakenError):
            free_port("127.0.0.1", sharing.getsockname()[1])


@pytest.mark.parametrize("host", ["203.0.113.1", "no such host"])
def test_an_address_that_is_not_ours_is_told(host: str) -> None:
    with pytest.raises(PortTakenError, match=host):
        free_port(host, 0)


def test_what_dead_servers_left_is_cleared_and_the_living_keep_theirs(tmp_path: Path) -> None:
    dead, alive = tmp_path / "run" / "metrics-999999999", tmp_path / "run" / "metrics-1"
    for folder in (dead, alive):
        folder.mkdir(parents=True)
        (folder / "counter.db").write_bytes(b"x")
    ours = make_metrics_folder(tmp_path)
    assert ours == tmp_path / "run" / f"metrics-{os.getpid()}"
    assert not dead.exists()
    assert (alive / "counter.db").exists()


def test_metrics_count_answers_and_name_nobody() -> None:
    metrics = Metrics(None)
    metrics.observe("xyz_tile", 200, 0.002, 1_000)
    metrics.observe("xyz_tile", 200, 0.02, 500)
    metrics.observe("layers", 401, 0.001, 10)
    text = metrics.text({}).decode()
    assert 'flux_http_answers_total{route="xyz_tile",status="200"} 2.0' in text
    assert 'flux_http_answers_total{route="layers",status="401"} 1.0' in text
    assert 'flux_http_bytes_total{route="xyz_tile"} 1500.0' in text
    assert 'flux_http_seconds_bucket{le="0.0025",route="xyz_tile"} 1.0' in text
