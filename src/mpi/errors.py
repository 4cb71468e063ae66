"""One error tree. Each class carries its stable code, HTTP status and whether a retry may help.

Messages name fields, settings and identifiers of ours; they never carry a submitted value.
"""

from __future__ import annotations

from typing import ClassVar


class MpiError(Exception):
    """Base of every error the service raises on purpose."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str, **extra: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class InvalidInput(MpiError):
    code, status, title = "invalid_input", 422, "The request cannot be processed"


class MalformedBody(MpiError):
    code, status, title = "malformed_body", 400, "The body is not valid"


class PayloadTooLarge(MpiError):
    code, status, title = "payload_too_large", 413, "The request is too large"


class Unauthorized(MpiError):
    code, status, title = "unauthorized", 401, "A valid API key is required"


class Forbidden(MpiError):
    code, status, title = "forbidden", 403, "The API key lacks the required scope"


class NotFound(MpiError):
    code, status, title = "not_found", 404, "Nothing is known under this name"


class Gone(MpiError):
    code, status, title = "gone", 410, "Retired; its history remains"


class Conflict(MpiError):
    """A rule of the index forbids the change (assertions, later decisions, wrong state)."""

    code, status, title = "conflict", 409, "The change contradicts the index"


class ConcurrentChange(Conflict):
    """The neighbourhood changed since it was read; read again, decide again, retry."""

    code, title, retryable = "concurrent_change", "Changed meanwhile", True


class PreconditionFailed(MpiError):
    code, status, title = "precondition_failed", 412, "The condition of the request does not hold"


class StoreUnavailable(MpiError):
    code, status, title, retryable = "store_unavailable", 503, "The store does not answer", True


class SchemaMismatch(StoreUnavailable):
    code, title = "schema_mismatch", "The store has another schema than this version needs"


class KeyMismatch(StoreUnavailable):
    code, title = "key_mismatch", "The store was made with another HMAC key"


class ProviderUnavailable(MpiError):
    code, status, title, retryable = (
        "provider_unavailable",
        503,
        "Who resolves identity does not answer",
        True,
    )


class ProviderLeftAlone(ProviderUnavailable):
    """It is not even asked, because it kept failing: this request has found out nothing new about it."""


class CertificateExpiring(ProviderUnavailable):
    """Never reaches a client: the provider answers still, but not for long."""

    code, title = "certificate_expiring", "The client certificate expires soon"


class ProviderRefusal(MpiError):
    """This registration is refused by whoever keeps an index elsewhere; sending it again changes nothing."""

    code, status, title = "provider_refusal", 422, "The provider refuses this registration"


class CacheUnavailable(MpiError):
    """A tier of the cache does not answer. Never reaches a client: it is only slower without it."""

    code, status, title, retryable = "cache_unavailable", 503, "The cache does not answer", True


class DeadlineExceeded(MpiError):
    code, status, title, retryable = "deadline_exceeded", 504, "The request took too long", True


class ConfigurationError(MpiError):
    """Stops the start: says which setting is wrong and how to mend it."""

    code, title = "configuration_error", "The configuration is not usable"
