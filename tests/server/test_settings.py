"""Settings: where they come from, which wins, and that wrong ones are told without showing what they hold."""

from __future__ import annotations

import ast
import json
import os
import re
from pathlib import Path

import pytest

from mosaics.places import ObjectPrefix
from server.cli.serve import _prepare
from server.settings import Settings, SettingsError, load_settings
from tests.conftest import ROOT
from tests.syntax import tree_of


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("FLUX_")]:
        monkeypatch.delenv(name)


def write(home: Path, text: str) -> Path:
    home.mkdir(exist_ok=True)
    (home / "flux.toml").write_text(text)
    return home


def test_arguments_win_over_variables_and_those_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = write(tmp_path, '[http]\nport = 1\nhost = "1.1.1.1"\nworkers = 7\n[tiles]\nempty = "204"\n')
    assert (load_settings(home=home).http.port, load_settings(home=home).tiles.empty) == (1, "204")
    monkeypatch.setenv("FLUX_HTTP__PORT", "2")
    monkeypatch.setenv("FLUX_HTTP__HOST", "2.2.2.2")
    assert load_settings(home=home).http.port == 2
    chosen = load_settings(home=home, http={"port": 3}).http
    assert (chosen.port, chosen.host, chosen.workers) == (3, "2.2.2.2", 7)


def test_the_file_is_that_of_the_home_however_the_home_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write(tmp_path / "first", "[http]\nport = 1\n")
    second = write(tmp_path / "second", "[http]\nport = 2\n")
    default = write(tmp_path / "flux-home", "[http]\nport = 3\n")
    monkeypatch.chdir(tmp_path)
    assert load_settings().http.port == 3
    assert load_settings().home.resolve() == default
    monkeypatch.setenv("FLUX_HOME", str(second))
    assert load_settings().http.port == 2
    assert load_settings(home=first).http.port == 1
    assert load_settings(home=None).http.port == 2


def test_lists_and_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = write(tmp_path, 'data_roots = ["/srv/a", "/srv/b"]\n[http]\ntrusted_proxies = ["10.0.0.0/8"]\n')
    chosen = load_settings(home=home)
    assert chosen.data_roots == (Path("/srv/a"), Path("/srv/b"))
    assert chosen.readable_roots == (home.resolve() / "data", Path("/srv/a"), Path("/srv/b"))
    monkeypatch.setenv("FLUX_DATA_ROOTS", '["/srv/c"]')
    assert load_settings(home=home).data_roots == (Path("/srv/c"),)


def test_data_roots_may_be_prefixes_of_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = write(tmp_path, 'data_roots = ["/srv/a", "s3://imagery/spot"]\n')
    chosen = load_settings(home=home)
    assert chosen.data_roots == (Path("/srv/a"), ObjectPrefix("imagery", "spot/"))
    assert chosen.readable_roots == (
        home.resolve() / "data",
        Path("/srv/a"),
        ObjectPrefix("imagery", "spot/"),
    )
    for said in ("s3://imagery/:/srv/b:s3://other/x/", '["s3://imagery", "/srv/b", "s3://other/x"]'):
        monkeypatch.setenv("FLUX_DATA_ROOTS", said)
        roots = load_settings(home=home).data_roots
        assert set(roots) == {ObjectPrefix("imagery", ""), Path("/srv/b"), ObjectPrefix("other", "x/")}
    for wrong in (
        "s3://",
        "s3://UPPER/",
        '["s3://key:hidden@imagery/"]',
        "s3://imagery/../",
        '[{"bucket": "x"}]',
    ):
        monkeypatch.setenv("FLUX_DATA_ROOTS", wrong)
        with pytest.raises(SettingsError, match="data_roots") as caught:
            load_settings(home=home)
        assert "hidden" not in str(caught.value)


S3_SECRET = 'access_key = "name"\nsecret_key = "the hidden one"\n'


def test_the_store_and_its_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = write(tmp_path / "home", f'[s3]\nendpoint = "http://127.0.0.1:9000/"\n{S3_SECRET}')
    chosen = load_settings(home=home)
    assert (chosen.s3.endpoint, chosen.s3.access_key, chosen.s3.secret()) == (
        "http://127.0.0.1:9000", "name", "the hidden one"
    )  # fmt: skip
    assert "hidden" not in repr(chosen)
    mounted = tmp_path / "secret"
    mounted.write_text("from a file\n")
    home = write(tmp_path / "other", f'[s3]\naccess_key = "name"\nsecret_key_file = "{mounted}"\n')
    assert load_settings(home=home).s3.secret() == "from a file"
    monkeypatch.setenv("FLUX_S3__ACCESS_KEY", "said")
    assert load_settings(home=home).s3.access_key == "said"
    mounted.write_text(" \n")
    with pytest.raises(SettingsError, match="s3"):
        load_settings(home=home)
    assert load_settings(home=tmp_path / "none", s3={"access_key": None}).s3.secret() is None


@pytest.mark.parametrize(
    "text",
    [
        'access_key = "name"',
        'secret_key = "the hidden one"',
        'access_key = ""\nsecret_key = "the hidden one"',
        'access_key = "name"\nsecret_key = ""',
        f'{S3_SECRET}secret_key_file = "/etc/hostname"',
        'access_key = "name"\nsecret_key_file = "/nowhere/at/all"',
        'endpoint = "s3.example.org"',
        'endpoint = "ftp://s3.example.org"',
        'endpoint = "https://s3.example.org/path"',
        'endpoint = "https://s3.example.org?a"',
        'endpoint = "https://s3.example.org#a"',
        'endpoint = "https://name:hidden@s3.example.org"',
        'endpoint = "https://s3.example.org:port"',
        'endpoint = "https://s3 .example.org"',
        'region = "eu west"',
        "timeout_seconds = 0",
        "verify = false",
    ],
)
def test_wrong_settings_of_the_store_are_told_by_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"^s3") as caught:
        load_settings(home=write(tmp_path, f"[s3]\n{text}\n"))
    assert "hidden" not in str(caught.value)


ISSUER = 'issuer = "https://sso.example.org", audience = "flux"'
SECRET = 'secret = "sixteen letters or more"'

WRONG_ISSUERS = [
    ("", "auth.issuers.0.issuer"),
    ('issuer = "https://sso.example.org"', "auth.issuers.0.audience"),
    ('issuer = "https://sso.example.org", audience = ""', "auth.issuers.0.audience"),
    ('issuer = "http://sso.example.org", audience = "flux"', "auth.issuers.0.issuer"),
    ('issuer = "sso.example.org", audience = "flux"', "auth.issuers.0.issuer"),
    (f'{ISSUER}, jwks_url = "http://sso.example.org/jwks"', "auth.issuers.0.jwks_url"),
    (f'{ISSUER}, algorithms = ["HS256"]', "auth.issuers.0.algorithms.0"),
    (f'{ISSUER}, algorithms = ["none"]', "auth.issuers.0.algorithms.0"),
    (f"{ISSUER}, algorithms = []", "auth.issuers.0.algorithms"),
    (f"{ISSUER}, refetch_seconds = 0", "auth.issuers.0.refetch_seconds"),
    (f"{ISSUER}, verify = false", "auth.issuers.0.verify"),
    (f"{ISSUER} }}, {{ {ISSUER}", "auth.issuers"),
]
WRONG_GATEWAYS = [
    ('networks = ["10.0.0.1"]', "gateway"),
    (SECRET, "gateway"),
    (f'networks = ["0.0.0.0/0"]\n{SECRET}', "gateway.networks"),
    (f'networks = ["::/0"]\n{SECRET}', "gateway.networks"),
    (f'networks = ["gateway.example.org"]\n{SECRET}', "gateway.networks.0"),
    ('networks = ["10.0.0.1"]\nsecret = "short"', "gateway.secret"),
    ('networks = ["10.0.0.1"]\nsecret = "sixteen lettres, é"', "gateway"),
    (f'networks = ["10.0.0.1"]\n{SECRET}\nsecret_header = "X-Flux"', "gateway.secret_header"),
    (f'networks = ["10.0.0.1"]\n{SECRET}\nsecret_header = "x_flux"', "gateway.secret_header"),
]


def test_issuers_and_gateway_from_file_and_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        f'[[auth.issuers]]\n{ISSUER.replace(", ", chr(10))}\n[gateway]\nnetworks = ["10.0.0.0/8"]\n{SECRET}\n'
    )
    chosen = load_settings(home=write(tmp_path, text))
    assert (chosen.auth.issuers[0].issuer, chosen.auth.issuers[0].refetch_seconds) == (
        "https://sso.example.org",
        30.0,
    )
    assert str(chosen.gateway.networks[0]) == "10.0.0.0/8"
    assert "sixteen letters" not in repr(chosen)
    said = [
        {"issuer": "http://127.0.0.1:1", "audience": "a"},
        {"issuer": "https://b.example", "audience": "b"},
    ]
    monkeypatch.setenv("FLUX_AUTH__ISSUERS", json.dumps(said))
    monkeypatch.setenv("FLUX_GATEWAY__NETWORKS", '["192.0.2.1"]')
    monkeypatch.setenv("FLUX_GATEWAY__SECRET", "another secret, long")
    chosen = load_settings(home=tmp_path)
    assert [each.audience for each in chosen.auth.issuers] == ["a", "b"]
    assert str(chosen.gateway.networks[0]) == "192.0.2.1/32"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("port = 1", "port"),
        ("[http]\nprot = 1", "http.prot"),
        ("[htpt]\nport = 1", "htpt"),
        ("[http]\nport = 70000", "http.port"),
        ("[http]\nport = true\nworkers = 0", "http.workers"),
        ("[auth]\nenvironment = 'Very Long'", "auth.environment"),
        ("[auth]\npoll_seconds = 60", "auth.poll_seconds"),
        ("[tiles]\nempty = 'x'", "tiles.empty"),
        ("[tiles]\ncache_megabytes = -1", "tiles.cache_megabytes"),
        *((f"[auth]\nissuers = [{{ {said} }}]", name) for said, name in WRONG_ISSUERS),
        *((f"[gateway]\n{said}", name) for said, name in WRONG_GATEWAYS),
        ("http = 1", "http"),
        ("= 1", "flux.toml"),
    ],
)
def test_a_wrong_setting_is_told_by_its_name(tmp_path: Path, text: str, name: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(name)):
        load_settings(home=write(tmp_path, text))


@pytest.mark.parametrize("secret", ["short-s3cr3t", "s3cr3t" * 6])
def test_a_secret_shows_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setenv("FLUX_AUTH__PEPPER", secret)
    try:
        shown = repr(load_settings(home=tmp_path)) + str(load_settings(home=tmp_path).model_dump())
    except SettingsError as error:
        shown = (
            str(error)
            + repr(error.__cause__)
            + repr(error.__context__ if not error.__suppress_context__ else "")
        )
        assert "auth.pepper" in shown
    assert "s3cr3t" not in shown


def test_settings_are_frozen(tmp_path: Path) -> None:
    chosen = load_settings(home=tmp_path)
    with pytest.raises(ValueError, match="frozen"):
        chosen.database_url = "x"
    with pytest.raises(ValueError, match="frozen"):
        chosen.http.port = 1


def test_the_environment_is_read_nowhere_else() -> None:
    readers = {"getenv", "environ"}
    found = set()
    for folder in ("auth", "mosaics", "server"):
        for path in (ROOT / folder).rglob("*.py"):
            if "node_modules" in path.parts:
                continue
            for node in ast.walk(tree_of(path)):
                if isinstance(node, ast.Attribute) and node.attr in readers:
                    found.add(str(path.relative_to(ROOT)))
    # these set variables that libraries and child processes read
    setters = {"mosaics/gdal.py", "mosaics/ingest/processes.py", "server/cli/main.py", "server/cli/serve.py"}
    assert found == setters


def test_every_setting_is_used() -> None:
    text = "\n".join(
        path.read_text(encoding="utf-8")
        for folder in ("auth", "mosaics", "server")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "settings.py" and "node_modules" not in path.parts
    )
    for name, field in Settings.model_fields.items():
        inner = getattr(field.annotation, "model_fields", None)
        for used in [f"{name}.{sub}" for sub in inner] if inner else [name]:
            # a group may travel on its own, under its name or as `settings`
            last = used.rpartition(".")[2]
            group = used.rpartition(".")[0]
            forms = (
                (rf"\b{group}\.{last}\b", rf"\bsettings\.{last}\b") if group else (rf"\bsettings\.{last}\b",)
            )
            alone = group == "http" and re.search(rf"\bhttp\.{last}\b", text)
            alone = alone or used in {"s3.secret_key", "s3.secret_key_file"}  # used as s3.secret()
            alone = alone or (group == "tiles" and last.endswith("_quality"))  # used as tiles.quality
            assert alone or any(re.search(form, text) for form in forms) or _service(text, group, last), used


def _service(text: str, group: str, last: str) -> bool:
    return group == "service" and re.search(rf"\bservice\.{last}\b|\bsettings\.{last}\b", text) is not None


def test_the_block_cache_of_gdal_follows_its_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_CACHEMAX", "256")
    monkeypatch.setattr("server.cli.serve.self_test", lambda: None)  # only before anything was warped
    _prepare(load_settings(home=tmp_path, gdal={"cache_megabytes": 77}))
    assert os.environ["GDAL_CACHEMAX"] == "77"


@pytest.mark.parametrize("text", ["/srv/a:/srv/b", '["/srv/a", "/srv/b"]'])
def test_data_roots_are_folders_joined_by_colons_or_json(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLUX_DATA_ROOTS", text)
    assert load_settings(home=tmp_path).data_roots == (Path("/srv/a"), Path("/srv/b"))
