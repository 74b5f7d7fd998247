"""Banking by the workers of a cluster: the same as without, whatever dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("distributed", reason="dask (the extra `cluster`) is not installed")

from mosaics.catalog.memory import MemoryCatalog
from mosaics.errors import ClusterUnavailableError, IngestError
from mosaics.ingest import cluster_link
from mosaics.ingest.bank import Bank
from mosaics.ingest.cluster import ClusterRunner
from mosaics.ingest.options import BankOptions
from mosaics.ingest.runner import Runner
from mosaics.ingest.sandbox import Limits, Sandbox
from mosaics.products.recognise import find_deliveries, recognise
from server.cli.banking import Banking, Job, Outcome
from tests.conftest import free_port, need_program, position_pixels, wait_until, write_raster
from tests.dask_cluster import DaskCluster, dask_cluster
from tests.mosaics.ingest.cluster_calls import devour, double, its_log, refuse, work_for_long
from tests.mosaics.ingest.conftest import SENSORS, STYLES, silent
from tests.wide import Wide

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture
def cluster(lasting: DaskCluster) -> DaskCluster:
    """With two workers, whatever the test before has killed; those that kill come last."""
    lasting.start(workers=2)
    return lasting


@pytest.fixture(scope="module")
def lasting_runner(lasting: DaskCluster) -> Iterator[ClusterRunner]:
    lasting.start(workers=2)
    with connected(lasting) as made:
        yield made


@pytest.fixture
def runner(cluster: DaskCluster, lasting_runner: ClusterRunner) -> ClusterRunner:
    """With child processes that tests before have started."""
    wait_until(lambda: lasting_runner.slots == 2, seconds=60, what=cluster.logs)
    return lasting_runner


def connected(cluster: DaskCluster) -> ClusterRunner:
    """Connect, and wait for both workers."""
    limits = Limits(memory_bytes=3 << 30)
    made = ClusterRunner(cluster.address, limits, connect_seconds=60, patience_seconds=0.3)
    wait_until(lambda: made.slots == 2, seconds=60, what=cluster.logs)
    return made


def processes_in(folder: Path, cluster: DaskCluster) -> dict[str, int]:
    wait_until((folder / "processes").exists, seconds=60, what=cluster.logs)
    found: dict[str, int] = json.loads((folder / "processes").read_text())
    return found


def is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def product(folder: Path) -> Path:
    """Make a delivery of two resolutions."""
    files = {
        "ms": {"path": "ms.tif", "bands": ["red", "green", "blue", "nir"], "nodata": 0},
        "pan": {"path": "pan.tif", "bands": ["pan"], "nodata": 0},
    }
    write_raster(folder / "ms.tif", position_pixels(150, 200, 4, "uint16"), resolution=2.0)
    write_raster(folder / "pan.tif", position_pixels(600, 800, 1, "uint16"), resolution=0.5)
    document = {"product": "own", "sensor": "multispectral", "datetime": "2026-03-14T10:52:07Z"}
    (folder / "own.flux.json").write_text(json.dumps({**document, "files": files}))
    return folder


def banked(home: Path, sources: list[Path], make: Callable[[], Runner], at_once: int) -> Any:
    """Bank and give what became of each, and the catalogue's items."""
    catalog, told = MemoryCatalog(), list[Outcome]()
    options = BankOptions(bands={"ms": ("red", "green", "blue", "nir"), "pan": ("pan",)})
    bank = Bank(
        home_data=home, catalog=catalog, sensors=SENSORS, styles=STYLES, sandbox=make(), now=lambda: NOW
    )
    jobs = [Job(path=path, delivery=recognise(path)) for path in find_deliveries(sources)]
    list(Banking(bank=bank, options=options, tell=told.append).run(jobs, at_once, make))
    results = {outcome.path: (outcome.result and outcome.result.messages, outcome.reason) for outcome in told}
    return results, {key: catalog.item(*key) for key in catalog.changes(0).scenes.keys}


def children(cluster: DaskCluster) -> list[str]:
    parents = ",".join(str(worker.pid) for worker in cluster.workers)
    command = [need_program("ps"), "-o", "pid=", "--ppid", parents]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()


def test_overviews_are_made_by_workers(runner: ClusterRunner, tmp_path: Path) -> None:
    wide = Wide(tmp_path)
    wide.collection("c")
    wide.field(5, 7, ("l1",))
    assert {each.status for each in wide.seed(runner=runner)} == {"made"}
    wide.catalog.remove_scene("c", "l1-0-0")
    assert {each.status for each in wide.seed(runner=runner)} == {"made"}
    standing = wide.layer().standing
    assert standing is not None
    assert standing.valid.all()


def test_the_catalogue_is_the_same_as_without_a_cluster(cluster: DaskCluster, tmp_path: Path) -> None:
    write_raster(tmp_path / "in/plain_20240517.tif", position_pixels(300, 400, 3), photometric="RGB")
    write_raster(tmp_path / "in/empty.tif", np.zeros((1, 40, 50), "uint8"), nodata=0)
    product(tmp_path / "in/own")
    runner, sources, homes = connected(cluster), [tmp_path / "in"], [tmp_path / "one", tmp_path / "many"]
    many = banked(homes[1], sources, lambda: runner, runner.slots)
    wait_until(lambda: not children(cluster), seconds=20, what=cluster.logs)
    one = banked(homes[0], sources, Sandbox, 1)
    assert len(one[1]) == 2, one[0]
    assert one == many
    written = [sorted(path.relative_to(home) for path in home.rglob("*")) for home in homes]
    assert written[0] == written[1]


def test_a_worker_without_the_program_is_refused(cluster: DaskCluster, tmp_path: Path) -> None:
    # none is banking: dask itself keeps such a worker out while one is
    (tmp_path / "mosaics").mkdir()
    (tmp_path / "mosaics" / "__init__.py").touch()
    cluster.start(workers=3, path=tmp_path)
    try:
        with pytest.importorskip("distributed").Client(cluster.address, set_as_default=False) as client:
            client.wait_for_workers(3, timeout=60)
        with pytest.raises(
            ClusterUnavailableError, match=r"tcp://\S+ can't be used: mosaics.ingest is not inst"
        ):
            ClusterRunner(cluster.address)
    finally:
        cluster.workers[2].kill()
        cluster.workers[2].wait(10)


def test_results_progress_and_refusals_come_back(runner: ClusterRunner) -> None:
    seen: list[tuple[str, float]] = []
    assert runner.run("a.tif", double, 21, report=lambda *report: seen.append(report)) == 42
    assert seen == [("working", 0.25), ("resting", 1.0)]
    with pytest.raises(IngestError, match=r"^b.tif: it is odd$"):
        runner.run("b.tif", refuse, "b.tif: it is odd", report=silent)


def test_a_bomb_refuses_one_file_alone(runner: ClusterRunner) -> None:
    with pytest.raises(IngestError, match=r"big.tif: .*more memory than a file may take .3072 MB."):
        runner.run("big.tif", devour, 4 << 30, report=silent)
    assert runner.run("good.tif", double, 1, report=silent) == 2


def test_a_worker_that_sees_other_files_is_told_from_a_bad_file(
    runner: ClusterRunner, tmp_path: Path
) -> None:
    with (tmp_path / "a").open("w") as file:
        os.dup2(file.fileno(), 199)  # what a process has open is seen by nobody else
    try:
        with pytest.raises(
            IngestError, match=r"a.tif: /proc/self/fd/199 can't be seen there .*worker tcp://"
        ):
            runner.run("a.tif", double, [Path("/proc/self/fd/199")], report=silent)
    finally:
        os.close(199)


def test_a_result_that_is_not_here_is_told(runner: ClusterRunner) -> None:
    with pytest.raises(IngestError, match=r"a.tif: what the worker tcp://.* wrote is not here: /proc"):
        runner.run("a.tif", its_log, report=silent)


def test_who_gives_up_ends_the_work(cluster: DaskCluster, runner: ClusterRunner, tmp_path: Path) -> None:
    def interrupt(_stage: str, _fraction: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.run("a.tif", work_for_long, tmp_path, report=interrupt)
    wait_until(lambda: is_gone(processes_in(tmp_path, cluster)["child"]), seconds=20)


def test_other_versions_are_refused(cluster: DaskCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = cluster_link.versions()
    monkeypatch.setattr(cluster_link, "versions", lambda: {**ours, "rasterio": "0.1"})
    words = rf"the worker tcp://\S+ runs rasterio {ours['rasterio']}, this machine rasterio 0.1; all need"
    with pytest.raises(ClusterUnavailableError, match=words):
        ClusterRunner(cluster.address)


def test_no_scheduler_is_told() -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(ClusterUnavailableError, match=f"no scheduler of a dask cluster answers at {address}"):
        ClusterRunner(address, connect_seconds=0.5)


def test_encryption_is_never_left_out() -> None:
    dask = pytest.importorskip("dask")
    with pytest.raises(ClusterUnavailableError, match=r"has to name certificates: distributed.comm.tls"):
        ClusterRunner("tls://127.0.0.1:8786")
    with (
        dask.config.set({"distributed.comm.require-encryption": True}),
        pytest.raises(ClusterUnavailableError, match=r"requires encryption: tcp://127.0.0.1:8786 has none"),
    ):
        ClusterRunner("tcp://127.0.0.1:8786")


def test_a_worker_that_is_killed_refuses_its_file_alone(
    cluster: DaskCluster, runner: ClusterRunner, tmp_path: Path
) -> None:
    killed: list[int] = []

    def kill(_stage: str, _fraction: float) -> None:
        if not killed:
            killed.append(processes_in(tmp_path, cluster)["worker"])
            os.kill(killed[0], signal.SIGKILL)
            next(worker for worker in cluster.workers if worker.pid == killed[0]).wait(10)

    with pytest.raises(IngestError, match=r"a.tif: the worker tcp://\S+ that had it is gone.*again"):
        runner.run("a.tif", work_for_long, tmp_path, report=kill)
    wait_until(lambda: is_gone(processes_in(tmp_path, cluster)["child"]), seconds=20)
    assert runner.run("b.tif", double, 2, report=silent) == 4
    assert runner.slots == 1


def test_a_scheduler_that_goes_away_ends_the_banking(lasting: DaskCluster, tmp_path: Path) -> None:
    lasting.start(workers=1)

    def kill(_stage: str, _fraction: float) -> None:
        assert lasting.scheduler is not None
        lasting.scheduler.kill()

    with ClusterRunner(lasting.address, connect_seconds=60) as runner:
        with pytest.raises(ClusterUnavailableError, match="does not answer any more"):
            runner.run("a.tif", work_for_long, tmp_path, report=kill)
        with pytest.raises(ClusterUnavailableError, match="does not answer any more"):
            runner.run("a.tif", double, 1, report=silent)
    wait_until(lambda: is_gone(processes_in(tmp_path, lasting)["child"]), seconds=20)
