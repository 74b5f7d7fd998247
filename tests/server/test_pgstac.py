"""The whole server over a pgSTAC catalogue: what is put there shows, what goes is gone, rights hold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import psycopg

from tests.conftest import flux, serving, wait_until, write_raster
from tests.items import item
from tests.postgres import Postgres


def test_scenes_of_pgstac_are_served(postgres_server: Postgres, tmp_path: Path) -> None:
    home = tmp_path / "home"
    address = postgres_server.with_pgstac(tmp_path)
    write_raster(home / "data" / "cogs" / "c" / "a.tif", np.full((3, 64, 64), 9, "uint8"))
    (home / "flux.toml").write_text(f'database_url = "{address}"\ncatalog = "pgstac"\n')
    flux(home, "institution", "add", "region")
    with psycopg.connect(address, autocommit=True, options="-csearch_path=pgstac,public") as pgstac:
        pgstac.execute("SELECT create_collection(%s::jsonb)", [json.dumps({"id": "c", "title": "C"})])
        flux(home, "grant", "add", "region", "--collection", "c")
        headers = {"X-API-Key": flux(home, "key", "create", "region").stdout.strip()}
        with serving(home, workers=1) as server:
            assert server.get("/layers/c", headers).status == 404
            pgstac.execute("SELECT create_item(%s::jsonb)", [json.dumps(item("a"))])
            wait_until(lambda: server.get("/layers/c", headers).status == 200, seconds=5)
            assert server.get("/layers/c").status in {401, 404}
            pgstac.execute("SELECT delete_item('a', 'c')")
            wait_until(lambda: server.get("/layers/c", headers).status == 404, seconds=5)
        refused = flux(home, "bank", str(home / "data" / "cogs" / "c" / "a.tif"), check=False)
    assert refused.returncode == 1
    assert "pgSTAC" in refused.stdout + refused.stderr
