"""How a setting is declared, read and checked."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

NOT_UTF8 = "not_utf8"
WITHIN_AN_HOUR = "a number of seconds, more than 0 and at most 3600"
WITHIN_A_DAY = "a number of seconds, more than 0 and at most 86400"
WITHIN_TEN_YEARS = "a number of seconds, more than 0 and at most 315360000"
"""Each time has an end that can still be computed with: added to now it is a date."""


def named(env: str, default: Any, allowed: str, **limits: Any) -> Any:
    """A field read from variable ``env``; ``allowed`` completes the sentence "ENV must be …"."""
    return Field(default, validation_alias=env, description=allowed, **limits)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class DeclaredSettings(BaseSettings):
    """What every group of settings has in common."""

    model_config = SettingsConfigDict(
        frozen=True,
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    @field_validator("*", mode="after")
    @classmethod
    def _of_letters(cls, value: object) -> object:
        # Variables may hold any bytes, and so may paths; of the rest none can be sent or computed with.
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if isinstance(text, str) and not _is_utf8(text):
            raise PydanticCustomError(NOT_UTF8, "not UTF-8")
        return value
