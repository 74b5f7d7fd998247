"""The only reader of environment variables and configuration files."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    DirectoryPath,
    Field,
    InstanceOf,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as SourceError

from mosaics.encode import DEFAULT_QUALITY, Quality
from mosaics.places import DataRoot, ObjectPrefix, is_object
from server.fetch import is_safe

CONFIG_FILE = "flux.toml"
"""Read from the home folder; environment variables win over it."""

_COLON = re.compile(r":(?!//)")
"""Joins folders, and is not that of `s3://`."""


class HttpSettings(BaseModel, frozen=True, extra="forbid"):
    """How the server listens and what it believes of requests."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=8000, ge=0, le=65535)
    """TCP port; 0 chooses a free one."""
    workers: int = Field(default=2, ge=1, le=256)
    """Worker processes."""
    threads: int = Field(default=2, ge=1, le=64)
    """Threads that read and render tiles, per worker."""
    queue: int = Field(default=128, ge=1, le=100_000)
    """Most pictures that wait for a thread, per worker; what finds no room is answered 503 at once."""
    deadline_seconds: float = Field(default=10.0, gt=0, le=600)
    """A picture not begun so long after it was asked for is dropped, and answered 503."""
    public_url: str | None = None
    """Address that clients use, such as https://flux.example.org/imagery; wins over all headers."""
    trusted_proxies: tuple[str, ...] = ()
    """Peer addresses whose X-Forwarded-Proto, -Host, -Port and -Prefix are believed."""
    allowed_hosts: tuple[str, ...] = ("*",)
    """Host names that are answered; `*` any well-formed one."""


class IssuerSettings(BaseModel, frozen=True, extra="forbid"):
    """An identity provider whose tokens are accepted; what they open, memberships say."""

    issuer: str
    """What `iss` of its tokens is, letter by letter, such as `https://sso.example.org/realms/flux`; http only
    of this machine."""
    audience: str = Field(min_length=1)
    """What `aud` of its tokens must be, or hold: the name that it knows this server by."""
    jwks_url: str | None = None
    """Where its keys are; without it, where its `/.well-known/openid-configuration` says."""
    algorithms: tuple[Literal["RS256", "ES256", "EdDSA"], ...] = Field(
        default=("RS256", "ES256", "EdDSA"), min_length=1
    )
    """Signatures that are accepted."""
    refetch_seconds: float = Field(default=30.0, ge=1, le=3600)
    """Shortest time between two requests for its keys, per worker."""
    keys_max_age_seconds: float = Field(default=86_400.0, gt=0, le=604_800)
    """How long its keys are used while it does not answer."""

    @field_validator("issuer", "jwks_url")
    @classmethod
    def _safe(cls, value: str | None) -> str | None:
        if value is not None and not is_safe(value):
            raise ValueError("must be https, or http of this machine, without user or fragment")
        return value


class GatewaySettings(BaseModel, frozen=True, extra="forbid"):
    """A portal in front that says who asks (geOrchestra's `sec-username`, `sec-org`, `sec-roles`)."""

    networks: tuple[IPvAnyNetwork, ...] = ()
    """Addresses or networks that the portal itself asks from, as the socket says it; none: no portal is
    believed."""
    secret: SecretStr | None = Field(default=None, min_length=16)
    """What the portal sends in `secret_header`; needed with `networks`."""
    secret_header: str = Field(default="x-flux-gateway", pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    """Name of the header with the secret, in lower case."""

    @field_validator("networks")
    @classmethod
    def _narrow(cls, value: tuple[IPvAnyNetwork, ...]) -> tuple[IPvAnyNetwork, ...]:
        if any(network.prefixlen == 0 for network in value):
            raise ValueError("a network of every address trusts everybody")
        return value

    @model_validator(mode="after")
    def _both(self) -> GatewaySettings:
        if bool(self.networks) != (self.secret is not None):
            raise ValueError("networks and secret go together")
        if self.secret is not None and not self.secret.get_secret_value().isascii():
            raise ValueError("the secret must be plain ASCII, as headers are")
        return self


class AuthSettings(BaseModel, frozen=True, extra="forbid"):
    """Keys and rights."""

    pepper: SecretStr | None = Field(default=None, min_length=16)
    """Secret that keys are hashed with; without it a file of mode 0600 in the home is made and used."""
    environment: str = Field(default="live", pattern=r"^[a-z0-9]{1,8}$")
    """Word in the middle of new keys (`flx_<environment>_...`), so that test keys show."""
    stale_seconds: float = Field(default=900.0, gt=0)
    """After this long without the store of rights, only public layers are served."""
    poll_seconds: float = Field(default=1.0, gt=0, le=5)
    """How often a worker asks whether rights or catalogue changed."""
    issuers: tuple[IssuerSettings, ...] = ()
    """Identity providers whose tokens are accepted, one table `[[auth.issuers]]` each; see below."""

    @field_validator("issuers")
    @classmethod
    def _different(cls, value: tuple[IssuerSettings, ...]) -> tuple[IssuerSettings, ...]:
        if len({each.issuer for each in value}) != len(value):
            raise ValueError("an issuer is named twice")
        return value


class UsageSettings(BaseModel, frozen=True, extra="forbid"):
    """Counting, and how fast is too fast; one unit is a 256 px tile."""

    fold_seconds: float = Field(default=5.0, gt=0, le=300)
    """How often a worker's counters are brought into the database."""
    key_rate: float | None = Field(default=None, gt=0)
    """Units a second of every key that has no rate of its own; none: unlimited."""
    key_burst: int = Field(default=500, ge=1)
    """Units that such a key may take at once."""
    institution_rate: float | None = Field(default=None, gt=0)
    """Units a second of all keys of an institution together; none: unlimited."""
    institution_burst: int = Field(default=2000, ge=1)
    """Units that an institution may take at once."""


class TileSettings(BaseModel, frozen=True, extra="forbid"):
    """What tiles are like."""

    empty: Literal["transparent", "204", "404"] = "transparent"
    """Answer inside the grid where there is no data."""
    cache_megabytes: int = Field(default=64, ge=0)
    """Memory for encoded tiles, per worker."""
    memo_entries: int = Field(default=50_000, ge=0)
    """Whole answers remembered for requests that are exactly the same, per worker; 0: none, and what a
    request means is not remembered for its next tile either. Their bodies are those of the cache, and are
    together as large at most."""
    disk_cache_megabytes: int = Field(default=1000, ge=0)
    """Room in the home for encoded tiles, for all workers together; 0: none are kept there."""
    block_cache_megabytes: int = Field(default=256, ge=0)
    """Memory for decoded blocks of scenes, per worker; of those that workers share, what one has in sight."""
    shared_block_megabytes: int = Field(default=512, ge=0)
    """Memory for decoded blocks that two workers or more share, in /dev/shm; 0, or where there is less than
    64: each decodes for itself. Taken when the server starts, and an eighth of the machine's at most."""
    open_files: int = Field(default=512, ge=1)
    """Files of scenes kept open, per worker."""
    jpg_quality: int = Field(default=DEFAULT_QUALITY.jpg, ge=1, le=100)
    """Quality of JPEG, in tiles and in previews without `max_bytes`. Another makes all of them anew."""
    webp_quality: int = Field(default=DEFAULT_QUALITY.webp, ge=1, le=100)
    """Quality of WebP; the default loses as much as that of JPEG does."""
    avif_quality: int = Field(default=DEFAULT_QUALITY.avif, ge=1, le=100)
    """Quality of AVIF; likewise."""
    public_max_age_seconds: int = Field(default=300, ge=0)
    """How long shared caches may keep tiles and files below /public/."""

    @property
    def quality(self) -> Quality:
        """What pictures lose in each format."""
        return Quality(jpg=self.jpg_quality, webp=self.webp_quality, avif=self.avif_quality)


class S3Settings(BaseModel, frozen=True, extra="forbid"):
    """The S3-compatible store that data roots such as `s3://bucket/prefix/` lie in."""

    endpoint: str | None = None
    """Address of the store without a path, such as `https://s3.example.org`; none: AWS in `region`."""
    region: str = Field(default="us-east-1", pattern=r"^[a-z0-9-]+$")
    """What requests are signed for; most stores but AWS take any."""
    access_key: str | None = None
    """Name of the key; without it requests are not signed, so only public objects are read."""
    secret_key: SecretStr | None = None
    """The secret of the key; needed with `access_key`, here or in a file."""
    secret_key_file: Path | None = None
    """File that holds the secret alone, such as one that a container is given; in place of `secret_key`."""
    path_style: bool = True
    """Ask for `host/bucket/key`, as most stores want it; false: for `bucket.host/key`."""
    timeout_seconds: float = Field(default=10.0, gt=0, le=120)
    """Longest time for one request, retries begun within it."""

    @field_validator("endpoint")
    @classmethod
    def _plain(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            host, _ = parts.hostname, parts.port
        except ValueError:
            host = None
        if not host or value.rstrip("/") not in {f"http://{parts.netloc}", f"https://{parts.netloc}"}:
            raise ValueError("must be http(s)://HOST or http(s)://HOST:PORT")
        if "@" in parts.netloc or not value.isascii() or not value.isprintable() or " " in value:
            raise ValueError("must be http(s)://HOST or http(s)://HOST:PORT")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _complete(self) -> S3Settings:
        secrets = (self.secret_key is not None) + (self.secret_key_file is not None)
        if secrets != (self.access_key is not None):
            raise ValueError("access_key goes with either secret_key or secret_key_file")
        if self.access_key is not None and not (self.access_key and self.secret()):
            raise ValueError("access_key and its secret must not be empty")
        return self

    def secret(self) -> str | None:
        """Give the secret; from the file as it is now.

        Raises:
            ValueError: If the file can't be read.
        """
        if self.secret_key_file is None:
            return None if self.secret_key is None else self.secret_key.get_secret_value()
        try:
            return self.secret_key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"secret_key_file can't be read: {type(error).__name__}") from error


class GdalSettings(BaseModel, frozen=True, extra="forbid"):
    """GDAL's own limits."""

    cache_megabytes: int = Field(default=64, ge=16)
    """Block cache of GDAL, per worker; read when the server starts, not at a reload."""


class ServiceSettings(BaseModel, frozen=True, extra="forbid"):
    """What capabilities say about the service."""

    title_fr: str = "Flux d'imagerie DINAMIS"
    """Title in French."""
    title_en: str = "DINAMIS imagery stream"
    """Title in English."""
    abstract_fr: str = (
        "Imagerie satellitaire à très haute résolution, diffusée selon les droits de chaque institution."
    )
    """Abstract in French."""
    abstract_en: str = (
        "Very-high-resolution satellite imagery, served according to the rights of each institution."
    )
    """Abstract in English."""
    provider_name: str = "DINAMIS"
    """Who offers the service."""
    provider_site: str = ""
    """Address of the provider's web site; empty: none."""
    contact_mail: str = ""
    """Mail address of the provider; empty: none."""
    access_request_url: str = Field(default="", pattern=r"^(https?://\S+|mailto:\S+)?$")
    """Where access to a listed layer can be asked for; empty: by mail to the provider, if there is one."""


Root = Path | InstanceOf[ObjectPrefix]


class Settings(BaseSettings):
    """All settings, frozen; built once by the command line or create_app and handed on as values."""

    model_config = SettingsConfigDict(
        env_prefix="FLUX_", env_nested_delimiter="__", frozen=True, extra="forbid", toml_file=None
    )

    home: Path = Path("flux-home")
    """Folder of the embedded database, COGs, quicklooks and secrets."""
    database_url: str | None = None
    """SQLAlchemy address of the database, as `postgresql://flux@db/flux`; without it SQLite in the home."""
    catalog: Literal["own", "pgstac"] = "own"
    """Where scenes and collections are kept: in our own tables, or in the pgSTAC of the same database, which
    is followed and never written to."""
    data_roots: Annotated[tuple[Root, ...], NoDecode] = ()
    """Folders, and prefixes `s3://bucket/prefix/` of the store, whose valid COGs are served in place; nothing
    outside of them and the home is opened."""
    data_folder: DirectoryPath | None = None
    """Folder with grids/, sensors/, styles/, indices/ and changes/ that add to or override built-in ones."""
    http: HttpSettings = HttpSettings()
    auth: AuthSettings = AuthSettings()
    gateway: GatewaySettings = GatewaySettings()
    usage: UsageSettings = UsageSettings()
    tiles: TileSettings = TileSettings()
    s3: S3Settings = S3Settings()
    gdal: GdalSettings = GdalSettings()
    service: ServiceSettings = ServiceSettings()

    @field_validator("data_roots", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """Take a variable as JSON or as folders joined by colons, like PATH; find out which are prefixes."""
        if isinstance(value, str):
            value = json.loads(value) if value.startswith("[") else _COLON.split(value)
        if not isinstance(value, list | tuple):
            return value
        return [
            ObjectPrefix.parse(root) if isinstance(root, str) and is_object(root) else root
            for root in value
            if root != ""
        ]

    @model_validator(mode="after")
    def _held(self) -> Settings:
        if self.catalog == "pgstac" and not (self.database_url or "").startswith("postgresql"):
            raise ValueError("catalog pgstac needs a database_url of PostgreSQL")
        return self

    @property
    def data(self) -> Path:
        """Where banked files live."""
        return self.home / "data"

    @property
    def readable_roots(self) -> tuple[DataRoot, ...]:
        """The folders, resolved, and prefixes below which scenes may be opened."""
        roots = (self.data, *self.data_roots)
        return tuple(root.resolve() if isinstance(root, Path) else root for root in roots)

    @property
    def usage_folder(self) -> Path:
        """Where the workers of all servers of this home count."""
        return self.home / "run" / "usage"

    @property
    def tile_cache_folder(self) -> Path:
        """Where encoded tiles are kept; may be deleted at any time."""
        return self.home / "cache" / "tiles"

    @property
    def pepper_file(self) -> Path:
        """The embedded secret."""
        return self.home / "pepper"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic names them
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of what wins: arguments, environment, then the file in the home."""
        home = _home_of(init_settings, env_settings)
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, home / CONFIG_FILE)


class SettingsError(ValueError):
    """A setting is wrong; the message names it and never shows its value, which may be a secret."""


def load_settings(**given: Any) -> Settings:
    """Build the settings from arguments, environment and the home's flux.toml.

    Args:
        given: Values that win over everything else, groups as dictionaries; None means not given.

    Raises:
        SettingsError: If a value is wrong; the message names it.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{CONFIG_FILE} is not valid TOML: {error}") from None
    except ValidationError as error:
        lines = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
        raise SettingsError("; ".join(lines)) from None
    except SourceError as error:
        raise SettingsError(str(error)) from None


def _home_of(*sources: PydanticBaseSettingsSource) -> Path:
    for source in sources:
        home = source().get("home")
        if home is not None:
            return Path(home)
    return Path(Settings.model_fields["home"].default)
