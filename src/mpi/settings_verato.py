"""The settings of Verato and of working with it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from mpi.settings_base import WITHIN_A_DAY, WITHIN_AN_HOUR, DeclaredSettings, named


class VeratoSettings(DeclaredSettings):
    """How to get in at Verato, and how much to ask of it. Secrets come from files, or as ``VERATO_API_KEY``."""

    verato_endpoint: str | None = named("VERATO_ENDPOINT", None, "an https:// address")
    verato_path_prefix: str = named(
        "VERATO_PATH_PREFIX",
        "/link-ws/svc",
        "a path of letters, digits and / . _ ~ -",
        pattern=r"^[A-Za-z0-9/._~-]*$",
    )
    verato_api_version: Literal["v1", "v2"] = named("VERATO_API_VERSION", "v1", "v1 or v2")
    verato_auth_mode: Literal["basic", "bearer", "header"] | None = named(
        "VERATO_AUTH_MODE", None, "basic, bearer or header"
    )
    verato_api_key: SecretStr | None = named("VERATO_API_KEY", None, "Verato's key")
    verato_username: str | None = named("VERATO_USERNAME", None, "a user's name")
    verato_password_file: Path | None = named("VERATO_PASSWORD_FILE", None, "a file's path")
    verato_client_cert: Path | None = named("VERATO_CLIENT_CERT_FILE", None, "a file's path")
    verato_client_key: Path | None = named("VERATO_CLIENT_KEY_FILE", None, "a file's path")
    verato_client_pfx: Path | None = named("VERATO_CLIENT_PFX_FILE", None, "a file's path")
    verato_pfx_password: Path | None = named(
        "VERATO_CLIENT_PFX_PASSWORD_FILE", None, "a file's path"
    )
    verato_ca: Path | None = named("VERATO_CA_FILE", None, "a file's path")
    verato_sources: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict,
        validation_alias="VERATO_SOURCE_MAP",
        description='a JSON object of our source names and Verato\'s, {"clinic": "ACME.CLINIC"}',
    )
    verato_formats: str = named(
        "VERATO_RESPONSE_FORMATS",
        "DEFAULT",
        "names with commas between",
        pattern=r"^\s*[^\s,]+\s*(,\s*[^\s,]+\s*)*$",
    )
    verato_dates: Literal["iso", "digits"] = named("VERATO_DATE_FORMAT", "iso", "iso or digits")
    verato_ssns: Literal["digits", "dashed"] = named(
        "VERATO_SSN_FORMAT", "digits", "digits or dashed"
    )
    verato_overlay: str = named(
        "VERATO_OVERLAY_PATTERN", r"(?i)overlay", "a regular expression for Verato's message"
    )
    verato_connect_timeout: float = named(
        "VERATO_TIMEOUT_CONNECT", 2, WITHIN_AN_HOUR, gt=0, le=3600
    )
    verato_read_timeout: float = named("VERATO_TIMEOUT_READ", 5, WITHIN_AN_HOUR, gt=0, le=3600)
    verato_total_timeout: float = named("VERATO_TIMEOUT_TOTAL", 8, WITHIN_AN_HOUR, gt=0, le=3600)
    verato_batch_read_timeout: float = named(
        "VERATO_BATCH_TIMEOUT_READ", 30, WITHIN_AN_HOUR, gt=0, le=3600
    )
    verato_batch_total_timeout: float = named(
        "VERATO_BATCH_TIMEOUT_TOTAL", 60, WITHIN_AN_HOUR, gt=0, le=3600
    )
    verato_max_retries: int = named("VERATO_MAX_RETRIES", 2, "a whole number from 0", ge=0)
    verato_max_tps: float = named("VERATO_MAX_TPS", 8, "a number, 0.01 or more", ge=0.01)
    verato_ramp: float = named("VERATO_RAMP_PER_MIN", 2, "a number from 0", ge=0)
    verato_concurrency: int = named("VERATO_MAX_CONCURRENCY", 8, "a whole number from 1", ge=1)
    verato_breaker_share: float = named(
        "VERATO_BREAKER_SHARE", 0.5, "a share from above 0 to 1", gt=0, le=1
    )
    verato_breaker_calls: int = named("VERATO_BREAKER_CALLS", 20, "a whole number from 1", ge=1)
    verato_breaker_window: float = named("VERATO_BREAKER_WINDOW", 30, WITHIN_A_DAY, gt=0, le=86_400)
    verato_breaker_pause: float = named("VERATO_BREAKER_PAUSE", 30, WITHIN_A_DAY, gt=0, le=86_400)

    verato_notify_interval: float = named(
        "VERATO_NOTIFY_INTERVAL", 300, WITHIN_A_DAY, gt=0, le=86_400
    )
    verato_notify_overlap: float = named(
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

    hybrid_strategy: Literal["verato_first", "internal_first", "grey_zone", "shadow"] = named(
        "MPI_HYBRID_STRATEGY", "grey_zone", "verato_first, internal_first, grey_zone or shadow"
    )
    hybrid_feed: Literal["grey", "all"] = named("MPI_HYBRID_FEED", "grey", "grey or all")
    hybrid_deadline: float = named(
        "MPI_HYBRID_DEADLINE", 2, "a number of seconds, more than 0 and at most 30", gt=0, le=30
    )
    hybrid_monthly_calls: int | None = named(
        "MPI_HYBRID_MONTHLY_CALLS",
        None,
        "a whole number from 1 to 1000000000",
        ge=1,
        le=1_000_000_000,
    )
