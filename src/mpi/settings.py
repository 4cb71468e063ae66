"""Every setting, read once from the environment or from files; a wrong one stops the start with one sentence.

Names of the original README stay exactly as they were; everything newer starts with ``MPI_``.
No message repeats a value: it may be a secret.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, FilePath, SecretStr, ValidationError, field_validator
from pydantic_settings import NoDecode

from mpi.errors import ConfigurationError
from mpi.settings_base import NOT_UTF8, WITHIN_A_DAY, WITHIN_TEN_YEARS, named
from mpi.settings_verato import HybridSettings

EMBEDDED: Mapping[str, str] = {
    "MPI_PROVIDER": "internal",
    "MPI_STORE": "sqlite",
    "MPI_CACHE": "memory",
}
"""What ``--embedded`` sets: nothing else has to run."""

RUN_EMBEDDED = (
    "to run embedded, use `mpi serve --embedded` (or `--embedded` with any other command), "
    "or set MPI_PROVIDER=internal MPI_STORE=sqlite MPI_CACHE=memory"
)

SECRETS = "MPI_SECRETS_DIR"
"""Names a folder whose files are settings: one file for each, called as the variable. Variables win."""

DATABASE = "mpi.sqlite3"
DEMO = "mpi-demo.sqlite3"


def data_directory() -> Path:
    """Where files with patient data go by default: never the working directory."""
    base = os.environ.get("XDG_DATA_HOME", "")
    if Path(base).is_absolute():
        return Path(base) / "mpi"
    try:
        return Path.home() / ".local" / "share" / "mpi"
    except RuntimeError:  # a container's user may have neither HOME nor an entry in /etc/passwd
        raise ConfigurationError(
            "XDG_DATA_HOME is missing, and this user has no home folder; set it to the absolute path of a folder "
            "that this user may write"
        ) from None


class Settings(HybridSettings):
    """The settings of one process. Descriptions say what a variable may hold."""

    provider: Literal["verato", "internal", "hybrid"] = named(
        "MPI_PROVIDER", "verato", "verato, internal or hybrid"
    )
    store: Literal["mongodb", "sqlite"] = named("MPI_STORE", "mongodb", "mongodb or sqlite")
    cache: Annotated[tuple[Literal["memory", "redis", "mongodb"], ...], NoDecode] = named(
        "MPI_CACHE",
        ("memory", "redis", "mongodb"),
        "a list of the tiers memory,redis,mongodb, memory first, or empty for no cache",
    )
    cache_remote_for: Annotated[tuple[Literal["verato", "internal", "hybrid"], ...], NoDecode] = (
        named(
            "MPI_CACHE_REMOTE_FOR",
            ("verato", "hybrid"),
            "a list of the providers verato,internal,hybrid whose answers redis and mongodb keep",
        )
    )
    cache_timeout: float = named(
        "MPI_CACHE_TIMEOUT", 0.01, "a number of seconds, more than 0 and at most 1", gt=0, le=1
    )

    redis_host: str = named("REDIS_HOST", "localhost", "a host name")
    redis_port: int = named("REDIS_PORT", 6379, "a port number, 1 to 65535", ge=1, le=65535)
    redis_pool_size: int = named("REDIS_POOL_SIZE", 50, "a whole number from 1", ge=1)
    redis_username: str | None = named("MPI_REDIS_USERNAME", None, "the name of a Redis user")
    redis_password: SecretStr | None = named("MPI_REDIS_PASSWORD", None, "that user's password")
    redis_database: int = named("MPI_REDIS_DB", 0, "the number of a database, 0 or more", ge=0)
    redis_tls: bool = named("MPI_REDIS_TLS", default=False, allowed="true or false")
    redis_authorities: FilePath | None = named(
        "MPI_REDIS_CA", None, "the path of a file with certificates of authorities"
    )
    mongodb_uri: SecretStr = named(
        "MONGODB_URI", SecretStr("mongodb://localhost:27017"), "a mongodb:// address"
    )
    mongo_pool_size: int = named("MONGO_POOL_SIZE", 50, "a whole number from 1", ge=1)
    mongo_timeout: float = named(
        "MPI_MONGO_TIMEOUT", 10, "a number of seconds from 0.1 to 86400", ge=0.1, le=86_400
    )
    connection_pool_size: int = named("CONNECTION_POOL_SIZE", 100, "a whole number from 1", ge=1)

    host: str = named("MPI_HOST", "127.0.0.1", "the address to listen on")
    port: int = named("MPI_PORT", 8000, "a port number, 1 to 65535", ge=1, le=65535)
    workers: int | None = named("MPI_WORKERS", None, "a whole number from 1 to 256", ge=1, le=256)
    demo: bool = named("MPI_DEMO", default=False, allowed="true or false")
    database: str = Field(
        default_factory=lambda data: "mpi_demo" if data.get("demo") else "mpi_service",
        validation_alias="MPI_DB",
        description="the name of a database",
    )
    sqlite_path: Path = Field(
        default_factory=lambda data: data_directory() / (DEMO if data.get("demo") else DATABASE),
        validation_alias="MPI_SQLITE_PATH",
        description="the path of the database file",
    )
    hmac_key: SecretStr | None = named(
        "MPI_HMAC_KEY", None, "a secret of at least 32 characters", min_length=32
    )
    placeholders: str | None = named(
        "MPI_PLACEHOLDERS", None, "a JSON object, or the path of a file that holds one"
    )

    enroll: Literal["identified", "always", "never"] = named(
        "MPI_ENROLL", "identified", "identified, always or never"
    )
    outbox_lease: float = named("MPI_OUTBOX_LEASE", 120, WITHIN_A_DAY, gt=0, le=86_400)
    cache_ttl: float = named("CACHE_TTL", 3600, WITHIN_TEN_YEARS, gt=0, le=315_360_000)
    cache_entries: int = named("MPI_CACHE_ENTRIES", 50_000, "a whole number from 1", ge=1)
    cache_bytes: int = named(
        "MPI_CACHE_BYTES", 256 * 1024 * 1024, "a number of bytes, 1024 or more", ge=1024
    )
    batch_size: int = named("BATCH_SIZE", 100, "a whole number from 1 to 10000", ge=1, le=10_000)
    batch_limit: int = named("MPI_BATCH_LIMIT", 10_000, "a whole number from 1", ge=1)
    body_limit: int = named(
        "MPI_BODY_LIMIT", 16 * 1024 * 1024, "a number of bytes, 1024 or more", ge=1024
    )
    request_timeout: float = named("MPI_REQUEST_TIMEOUT", 30, WITHIN_A_DAY, gt=0, le=86_400)
    keep_alive: int = named(
        "MPI_KEEP_ALIVE", 75, "a whole number of seconds from 1 to 3600", ge=1, le=3600
    )
    shutdown_timeout: int = named(
        "MPI_SHUTDOWN_TIMEOUT", 30, "a whole number of seconds from 1 to 3600", ge=1, le=3600
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = named(
        "LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING or ERROR"
    )

    @field_validator("cache", "cache_remote_for", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return [name.strip() for name in value.split(",") if name.strip()]

    @field_validator("cache")
    @classmethod
    def _in_order(cls, tiers: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(tiers)) < len(tiers) or "memory" in tiers[1:]:
            raise ValueError
        return tiers

    @field_validator("sqlite_path", mode="after")
    @classmethod
    def _of_a_file(cls, path: Path) -> Path:
        # Not every caller is a shell: a folder named ~ would hold patient data in the working directory.
        try:
            path = path.expanduser()
        except RuntimeError:
            raise ValueError("nobody's home") from None
        if not path.name:
            raise ValueError("a folder")
        return path

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @property
    def beside_index(self) -> Path:
        """What files that belong to the index are named after: beside its file, else in the data directory."""
        if self.store == "mongodb":
            return data_directory() / f"mongodb.{self.database}"
        return self.sqlite_path

    @property
    def worker_count(self) -> int:
        """How many processes serve: one per core unless ``MPI_WORKERS`` says otherwise, one on a SQLite file.

        Such a file has one writer at a time, and every process would keep records of its own in memory.
        """
        return self.workers or (1 if self.store == "sqlite" else cores())

    @property
    def remote_tiers(self) -> tuple[str, ...]:
        """The tiers that other processes share, as far as the provider's answers are kept there."""
        if self.provider not in self.cache_remote_for:
            return ()
        return tuple(tier for tier in self.cache if tier != "memory")

    @property
    def is_loopback(self) -> bool:
        """Whether the address to listen on reaches this machine only."""
        return is_loopback(self.host)


def cores(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """The cores that this process may use, rounded up where a container's ``quota`` is a part of one."""
    usable = len(os.sched_getaffinity(0))
    try:
        limit, period = quota.read_text().split()
        return min(usable, max(1, ceil(int(limit) / int(period))))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return usable


_NAMES = frozenset(str(field.validation_alias) for field in Settings.model_fields.values())


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine only: ``localhost``, 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def read_settings(overrides: Mapping[str, str] | None = None) -> Settings:
    """Settings from the files of ``MPI_SECRETS_DIR``, then the environment, then ``overrides`` (the same names).

    Raises:
        ConfigurationError: one sentence that names the first wrong setting and what it may be.
    """
    given: dict[str, Any] = dict(overrides or {})
    for name in ("MPI_CACHE", "MPI_CACHE_REMOTE_FOR"):
        if os.environ.get(name) == "":  # a list may be empty; other empty variables are unset
            given.setdefault(name, "")
    try:
        return Settings(_secrets_dir=_secrets_directory(), **given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
        name = str(first["loc"][0])
        sentence = _no_text(name) if first["type"] == NOT_UTF8 else _sentence(name)
        raise ConfigurationError(sentence) from None


def _secrets_directory() -> Path | None:
    """Where secrets are mounted as files: unlike variables, child processes and crash reports do not get them."""
    name = os.environ.get(SECRETS)
    if not name:
        return None
    folder = Path(name)
    try:
        for file in folder.iterdir():
            if file.name.upper() in _NAMES:  # as they are looked for
                _check_text(file)
    except OSError as error:
        raise ConfigurationError(
            f"{SECRETS} must be a folder of files that this user may read ({error.strerror}); "
            "correct it, or unset it to use variables alone"
        ) from None
    return folder


def _check_text(file: Path) -> None:
    try:
        file.read_bytes().decode()
    except UnicodeDecodeError:
        raise ConfigurationError(
            f"{file.name} in the folder {SECRETS} must be text in UTF-8; correct it, or remove the file"
        ) from None


def _no_text(name: str) -> str:
    return f"{name} must be text in UTF-8; correct it, or unset it to use the default"


def _sentence(name: str) -> str:
    fields = Settings.model_fields.values()
    allowed = next(field.description for field in fields if field.validation_alias == name)
    return f"{name} must be {allowed}; correct it, or unset it to use the default"


def check_verato_address(settings: Settings) -> None:
    """Refuse Verato without an address; names the way to run without."""
    if settings.provider != "internal" and settings.verato_endpoint is None:
        raise ConfigurationError(
            f"MPI_PROVIDER={settings.provider} needs VERATO_ENDPOINT, the address that Verato gave you; set it; "
            f"{RUN_EMBEDDED}"
        )
