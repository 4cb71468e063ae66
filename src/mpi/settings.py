"""Every setting, read once from the environment or from files; a wrong one stops the start with one sentence.

Names of the original README stay exactly as they were; everything newer starts with ``MPI_``.
No message repeats a value: it may be a secret.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, FilePath, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from mpi.errors import ConfigurationError

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
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "share"
    return root / "mpi"


_WITHIN_AN_HOUR = "a number of seconds, more than 0 and at most 3600"
_WITHIN_A_DAY = "a number of seconds, more than 0 and at most 86400"


def _named(env: str, default: Any, allowed: str, **limits: Any) -> Any:
    """A field read from variable ``env``; ``allowed`` completes the sentence "ENV must be …"."""
    return Field(default, validation_alias=env, description=allowed, **limits)


class VeratoSettings(BaseSettings):
    """How to get in at Verato, and how much to ask of it. Secrets come from files, or as ``VERATO_API_KEY``."""

    model_config = SettingsConfigDict(
        frozen=True,
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    verato_endpoint: str | None = _named("VERATO_ENDPOINT", None, "an https:// address")
    verato_path_prefix: str = _named(
        "VERATO_PATH_PREFIX",
        "/link-ws/svc",
        "a path of letters, digits and / . _ ~ -",
        pattern=r"^[A-Za-z0-9/._~-]*$",
    )
    verato_api_version: Literal["v1", "v2"] = _named("VERATO_API_VERSION", "v1", "v1 or v2")
    verato_auth_mode: Literal["basic", "bearer", "header"] | None = _named(
        "VERATO_AUTH_MODE", None, "basic, bearer or header"
    )
    verato_api_key: SecretStr | None = _named("VERATO_API_KEY", None, "Verato's key")
    verato_username: str | None = _named("VERATO_USERNAME", None, "a user's name")
    verato_password_file: Path | None = _named("VERATO_PASSWORD_FILE", None, "a file's path")
    verato_client_cert: Path | None = _named("VERATO_CLIENT_CERT_FILE", None, "a file's path")
    verato_client_key: Path | None = _named("VERATO_CLIENT_KEY_FILE", None, "a file's path")
    verato_client_pfx: Path | None = _named("VERATO_CLIENT_PFX_FILE", None, "a file's path")
    verato_pfx_password: Path | None = _named(
        "VERATO_CLIENT_PFX_PASSWORD_FILE", None, "a file's path"
    )
    verato_ca: Path | None = _named("VERATO_CA_FILE", None, "a file's path")
    verato_sources: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict,
        validation_alias="VERATO_SOURCE_MAP",
        description='a JSON object of our source names and Verato\'s, {"clinic": "ACME.CLINIC"}',
    )
    verato_formats: str = _named(
        "VERATO_RESPONSE_FORMATS",
        "DEFAULT",
        "names with commas between",
        pattern=r"^\s*[^\s,]+\s*(,\s*[^\s,]+\s*)*$",
    )
    verato_dates: Literal["iso", "digits"] = _named("VERATO_DATE_FORMAT", "iso", "iso or digits")
    verato_ssns: Literal["digits", "dashed"] = _named(
        "VERATO_SSN_FORMAT", "digits", "digits or dashed"
    )
    verato_overlay: str = _named(
        "VERATO_OVERLAY_PATTERN", r"(?i)overlay", "a regular expression for Verato's message"
    )
    verato_connect_timeout: float = _named(
        "VERATO_TIMEOUT_CONNECT", 2, _WITHIN_AN_HOUR, gt=0, le=3600
    )
    verato_read_timeout: float = _named("VERATO_TIMEOUT_READ", 5, _WITHIN_AN_HOUR, gt=0, le=3600)
    verato_total_timeout: float = _named("VERATO_TIMEOUT_TOTAL", 8, _WITHIN_AN_HOUR, gt=0, le=3600)
    verato_batch_read_timeout: float = _named(
        "VERATO_BATCH_TIMEOUT_READ", 30, _WITHIN_AN_HOUR, gt=0, le=3600
    )
    verato_batch_total_timeout: float = _named(
        "VERATO_BATCH_TIMEOUT_TOTAL", 60, _WITHIN_AN_HOUR, gt=0, le=3600
    )
    verato_max_retries: int = _named("VERATO_MAX_RETRIES", 2, "a whole number from 0", ge=0)
    verato_max_tps: float = _named("VERATO_MAX_TPS", 8, "a number, 0.01 or more", ge=0.01)
    verato_ramp: float = _named("VERATO_RAMP_PER_MIN", 2, "a number from 0", ge=0)
    verato_concurrency: int = _named("VERATO_MAX_CONCURRENCY", 8, "a whole number from 1", ge=1)
    verato_breaker_share: float = _named(
        "VERATO_BREAKER_SHARE", 0.5, "a share from above 0 to 1", gt=0, le=1
    )
    verato_breaker_calls: int = _named("VERATO_BREAKER_CALLS", 20, "a whole number from 1", ge=1)
    verato_breaker_window: float = _named(
        "VERATO_BREAKER_WINDOW", 30, _WITHIN_A_DAY, gt=0, le=86_400
    )
    verato_breaker_pause: float = _named("VERATO_BREAKER_PAUSE", 30, _WITHIN_A_DAY, gt=0, le=86_400)

    verato_notify_interval: float = _named(
        "VERATO_NOTIFY_INTERVAL", 300, _WITHIN_A_DAY, gt=0, le=86_400
    )
    verato_notify_overlap: float = _named(
        "VERATO_NOTIFY_OVERLAP", 900, "a number of seconds from 0 to 86400", ge=0, le=86_400
    )

    @field_validator("verato_sources", mode="before")
    @classmethod
    def _object(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError("not JSON") from None

    @field_validator("verato_overlay")
    @classmethod
    def _readable(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error:
            raise ValueError("not a regular expression") from None
        return pattern


class HybridSettings(VeratoSettings):
    """How our own matching and Verato work together."""

    hybrid_strategy: Literal["verato_first", "internal_first", "grey_zone", "shadow"] = _named(
        "MPI_HYBRID_STRATEGY", "grey_zone", "verato_first, internal_first, grey_zone or shadow"
    )
    hybrid_feed: Literal["grey", "all"] = _named("MPI_HYBRID_FEED", "grey", "grey or all")
    hybrid_deadline: float = _named(
        "MPI_HYBRID_DEADLINE", 2, "a number of seconds, more than 0 and at most 30", gt=0, le=30
    )
    hybrid_monthly_calls: int | None = _named(
        "MPI_HYBRID_MONTHLY_CALLS",
        None,
        "a whole number from 1 to 1000000000",
        ge=1,
        le=1_000_000_000,
    )


class Settings(HybridSettings):
    """The settings of one process. Descriptions say what a variable may hold."""

    provider: Literal["verato", "internal", "hybrid"] = _named(
        "MPI_PROVIDER", "verato", "verato, internal or hybrid"
    )
    store: Literal["mongodb", "sqlite"] = _named("MPI_STORE", "mongodb", "mongodb or sqlite")
    cache: Annotated[tuple[Literal["memory", "redis", "mongodb"], ...], NoDecode] = _named(
        "MPI_CACHE",
        ("memory", "redis", "mongodb"),
        "a list of the tiers memory,redis,mongodb, memory first, or empty for no cache",
    )
    cache_remote_for: Annotated[tuple[Literal["verato", "internal", "hybrid"], ...], NoDecode] = (
        _named(
            "MPI_CACHE_REMOTE_FOR",
            ("verato", "hybrid"),
            "a list of the providers verato,internal,hybrid whose answers redis and mongodb keep",
        )
    )
    cache_timeout: float = _named(
        "MPI_CACHE_TIMEOUT", 0.01, "a number of seconds, more than 0 and at most 1", gt=0, le=1
    )

    redis_host: str = _named("REDIS_HOST", "localhost", "a host name")
    redis_port: int = _named("REDIS_PORT", 6379, "a port number, 1 to 65535", ge=1, le=65535)
    redis_pool_size: int = _named("REDIS_POOL_SIZE", 50, "a whole number from 1", ge=1)
    redis_username: str | None = _named("MPI_REDIS_USERNAME", None, "the name of a Redis user")
    redis_password: SecretStr | None = _named("MPI_REDIS_PASSWORD", None, "that user's password")
    redis_database: int = _named("MPI_REDIS_DB", 0, "the number of a database, 0 or more", ge=0)
    redis_tls: bool = _named("MPI_REDIS_TLS", default=False, allowed="true or false")
    redis_authorities: FilePath | None = _named(
        "MPI_REDIS_CA", None, "the path of a file with certificates of authorities"
    )
    mongodb_uri: SecretStr = _named(
        "MONGODB_URI", SecretStr("mongodb://localhost:27017"), "a mongodb:// address"
    )
    mongo_pool_size: int = _named("MONGO_POOL_SIZE", 50, "a whole number from 1", ge=1)
    mongo_timeout: float = _named(
        "MPI_MONGO_TIMEOUT", 10, "a number of seconds, 0.1 or more", ge=0.1
    )
    connection_pool_size: int = _named("CONNECTION_POOL_SIZE", 100, "a whole number from 1", ge=1)

    host: str = _named("MPI_HOST", "127.0.0.1", "the address to listen on")
    port: int = _named("MPI_PORT", 8000, "a port number, 1 to 65535", ge=1, le=65535)
    workers: int | None = _named("MPI_WORKERS", None, "a whole number from 1 to 256", ge=1, le=256)
    demo: bool = _named("MPI_DEMO", default=False, allowed="true or false")
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
    hmac_key: SecretStr | None = _named(
        "MPI_HMAC_KEY", None, "a secret of at least 32 characters", min_length=32
    )
    placeholders: str | None = _named(
        "MPI_PLACEHOLDERS", None, "a JSON object, or the path of a file that holds one"
    )

    enroll: Literal["identified", "always", "never"] = _named(
        "MPI_ENROLL", "identified", "identified, always or never"
    )
    outbox_lease: float = _named("MPI_OUTBOX_LEASE", 120, _WITHIN_A_DAY, gt=0, le=86_400)
    cache_ttl: float = _named("CACHE_TTL", 3600, "a number of seconds, more than 0", gt=0)
    cache_entries: int = _named("MPI_CACHE_ENTRIES", 50_000, "a whole number from 1", ge=1)
    cache_bytes: int = _named(
        "MPI_CACHE_BYTES", 256 * 1024 * 1024, "a number of bytes, 1024 or more", ge=1024
    )
    batch_size: int = _named("BATCH_SIZE", 100, "a whole number from 1 to 10000", ge=1, le=10_000)
    batch_limit: int = _named("MPI_BATCH_LIMIT", 10_000, "a whole number from 1", ge=1)
    body_limit: int = _named(
        "MPI_BODY_LIMIT", 16 * 1024 * 1024, "a number of bytes, 1024 or more", ge=1024
    )
    request_timeout: float = _named(
        "MPI_REQUEST_TIMEOUT", 30, "a number of seconds, more than 0", gt=0
    )
    keep_alive: int = _named(
        "MPI_KEEP_ALIVE", 75, "a whole number of seconds from 1 to 3600", ge=1, le=3600
    )
    shutdown_timeout: int = _named(
        "MPI_SHUTDOWN_TIMEOUT", 30, "a whole number of seconds from 1", ge=1
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = _named(
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
        path = path.expanduser()
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
        name = str(error.errors(include_input=False, include_context=False)[0]["loc"][0])
        raise ConfigurationError(_sentence(name)) from None


def _secrets_directory() -> Path | None:
    """Where secrets are mounted as files: unlike variables, child processes and crash reports do not get them."""
    named = os.environ.get(SECRETS)
    if not named:
        return None
    folder = Path(named)
    try:
        for file in folder.iterdir():
            if file.name in _NAMES:
                file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{SECRETS} must be a folder of files that this user may read ({error.strerror}); "
            "correct it, or unset it to use variables alone"
        ) from None
    return folder


def _sentence(name: str) -> str:
    fields = Settings.model_fields.values()
    allowed = next(field.description for field in fields if field.validation_alias == name)
    return f"{name} must be {allowed}; correct it, or unset it to use the default"


def check_released(settings: Settings) -> None:
    """Refuse Verato without an address; names the way to run without."""
    if settings.provider != "internal" and settings.verato_endpoint is None:
        raise ConfigurationError(
            f"MPI_PROVIDER={settings.provider} needs VERATO_ENDPOINT, the address that Verato gave you; set it; "
            f"{RUN_EMBEDDED}"
        )
