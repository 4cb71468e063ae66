"""Writes docs/reference from the code that it describes: `make generate`.

What a setting may hold and its default stand in the code; what it is for stands here, because only readers need it.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import typer
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from typer.cli import get_docs_for_click
from typer.main import get_command

from mpi.cli import commands
from mpi.settings import SECRETS, Settings
from mpi.telemetry import Metrics

REFERENCE = Path(__file__).resolve().parent.parent / "docs/reference"

_NOTE = "<!-- Written by `make generate`; change the code that it describes instead. -->\n\n"

PURPOSES: Mapping[str, Mapping[str, str]] = {
    "Who resolves identity": {
        "MPI_PROVIDER": "Who says who somebody is.",
        "MPI_ENROLL": "Which submissions are stored: those with a source and an id, all, or none.",
        "MPI_PLACEHOLDERS": "Values that mean nothing (`UNKNOWN`, 999-99-9999 …), beside the shipped list.",
    },
    "Verato": {
        "VERATO_ENDPOINT": "Where Verato is; what follows the host is passed over.",
        "VERATO_PATH_PREFIX": "Where its interface lies on that host.",
        "VERATO_API_VERSION": "The form of the payloads: v2 wraps dates and numbers into objects.",
        "VERATO_USERNAME": "The user that Verato issued.",
        "VERATO_PASSWORD_FILE": "Its password.",
        "VERATO_API_KEY": "`user:password`, instead of the two above; anything else goes into the header `X-API-Key`, "
        "which Verato does not document.",
        "VERATO_AUTH_MODE": "How the key is sent; when unset, as it looks.",
        "VERATO_CLIENT_CERT_FILE": "The client certificate that Verato issued, as PEM.",
        "VERATO_CLIENT_KEY_FILE": "Its key, as PEM without a password; when unset, it is in the same file.",
        "VERATO_CLIENT_PFX_FILE": "Certificate and key as Verato hands them out, instead of the two above.",
        "VERATO_CLIENT_PFX_PASSWORD_FILE": "The password of the PFX file.",
        "VERATO_CA_FILE": "Who signs Verato's own certificate; the system's authorities when unset.",
        "VERATO_SOURCE_MAP": "Our sources as Verato names them, each by another name; others keep theirs. The first is "
        "asked for to see whether Verato answers.",
        "VERATO_RESPONSE_FORMATS": "The views that Verato answers with.",
        "VERATO_DATE_FORMAT": "How dates are sent: 1980-01-02 or 19800102.",
        "VERATO_SSN_FORMAT": "How social security numbers are sent: 123456789 or 123-45-6789.",
        "VERATO_OVERLAY_PATTERN": "How a refusal is told to be an overlay: another patient's data.",
        "VERATO_TIMEOUT_CONNECT": "How long a connection may take.",
        "VERATO_TIMEOUT_READ": "How long Verato may say nothing.",
        "VERATO_TIMEOUT_TOTAL": "How long a call may take, waiting and repetitions included.",
        "VERATO_BATCH_TIMEOUT_READ": "The same for rows of batches.",
        "VERATO_BATCH_TIMEOUT_TOTAL": "The same for rows of batches.",
        "VERATO_MAX_RETRIES": "Most repetitions of a call.",
        "MPI_HYBRID_STRATEGY": "Who is asked first, and whose word counts.",
        "MPI_HYBRID_FEED": "Whether Verato is told of the grey cases only, or of all.",
        "MPI_HYBRID_DEADLINE": "How long an answer of the provider hybrid waits for Verato, in a batch besides turns.",
        "MPI_HYBRID_MONTHLY_CALLS": "Most requests to Verato in a calendar month; without it there is no limit.",
        "VERATO_MAX_TPS": "Most requests a second, of all processes that share a Redis, or of one service.",
        "VERATO_RAMP_PER_MIN": "What is added a minute to 8 a second, or after Verato said it was too much.",
        "VERATO_MAX_CONCURRENCY": "Most calls of one process at once.",
        "VERATO_BREAKER_SHARE": "The share of failed calls at which Verato is left alone.",
        "VERATO_BREAKER_CALLS": "The calls that have to be known for that.",
        "VERATO_BREAKER_WINDOW": "How long a call is known.",
        "VERATO_BREAKER_PAUSE": "How long Verato is left alone.",
        "VERATO_NOTIFY_INTERVAL": "How often Verato is asked what has changed there.",
        "VERATO_NOTIFY_OVERLAP": "For how long before the last time it is asked again: what has happened may be told "
        "late.",
        "MPI_OUTBOX_LEASE": "After how long what a process that died had to tell Verato is told by another.",
    },
    "Where the index is kept": {
        "MPI_STORE": "What keeps records, persons and events.",
        "MPI_DB": "The database within MongoDB; without it `mpi_service`, for made-up patients `mpi_demo`.",
        "MONGODB_URI": "Where MongoDB is: a replica set, with user, password and TLS where they are needed.",
        "MONGO_POOL_SIZE": "Most connections of one process to MongoDB.",
        "MPI_MONGO_TIMEOUT": "How long to look for MongoDB (5 s or more at a start) and to wait for each answer.",
        "MPI_SQLITE_PATH": "The file of the embedded index; without it, one in the user's data directory.",
        "MPI_HMAC_KEY": (
            "The key of all digests: it must never change, and every instance needs the same. The embedded index "
            "makes one beside its file."
        ),
        "MPI_DEMO": "Use the index of made-up patients, which is one of its own.",
    },
    "What is remembered": {
        "MPI_CACHE": "The tiers of the cache, the nearest first.",
        "MPI_CACHE_REMOTE_FOR": (
            "The providers whose answers are kept in Redis and MongoDB too; our own matching is quicker than "
            "asking them."
        ),
        "MPI_CACHE_TIMEOUT": "How long Redis or MongoDB may take before an answer is given without them.",
        "CACHE_TTL": "How long an answer may be remembered.",
        "MPI_CACHE_ENTRIES": "Most answers in the memory of one process.",
        "MPI_CACHE_BYTES": "Most memory for them.",
        "REDIS_HOST": "Where Redis or Valkey is.",
        "REDIS_PORT": "Its port.",
        "REDIS_POOL_SIZE": "Most connections of one process to it.",
        "MPI_REDIS_USERNAME": "Who this service is there.",
        "MPI_REDIS_PASSWORD": "Its password there.",
        "MPI_REDIS_DB": "Which of its databases is used.",
        "MPI_REDIS_TLS": "Whether it is spoken to over TLS.",
        "MPI_REDIS_CA": "Who may have issued its certificate; those that the system trusts when unset.",
    },
    "How it serves": {
        "MPI_HOST": "The address to listen on; one that others can reach needs an API key first.",
        "MPI_PORT": "The port to listen on.",
        "MPI_WORKERS": "How many processes serve; one per core without it, and one on a SQLite file.",
        "CONNECTION_POOL_SIZE": "Most connections of one process to the provider.",
        "BATCH_SIZE": "Rows of a batch that are scored and committed together, within a quarter of a second.",
        "MPI_BATCH_LIMIT": "Most rows in one batch; more are refused (413).",
        "MPI_BODY_LIMIT": "Largest body of a request; larger ones are refused (413).",
        "MPI_REQUEST_TIMEOUT": "How long a request may take before it is given up (504).",
        "MPI_KEEP_ALIVE": "How long idle connections stay open; load balancers have to close theirs earlier.",
        "MPI_SHUTDOWN_TIMEOUT": "How long a stopping service finishes what it has accepted.",
        "LOG_LEVEL": "What is logged, as JSON lines on standard error.",
    },
}


def settings_page() -> str:
    """Every setting: what it is for, what it may hold, its default."""
    fields = {str(field.validation_alias): field for field in Settings.model_fields.values()}
    described = [name for part in PURPOSES.values() for name in part]
    if odd := set(fields) ^ set(described):
        raise LookupError(f"PURPOSES in {Path(__file__).name} and Settings differ: {sorted(odd)}")
    lines = [
        "# Settings\n",
        "Read once at the start; a wrong one stops it with one sentence that names the setting and the remedy. "
        "Each is an environment\nvariable. An empty variable counts as unset, except `MPI_CACHE` and "
        "`MPI_CACHE_REMOTE_FOR`, where it means none.\n",
        f"`{SECRETS}` names a folder in which each file is one setting, called as the variable: how containers get "
        "secrets without\nputting them into the environment. A variable wins over a file.\n",
    ]
    for title, part in PURPOSES.items():
        lines += [
            f"## {title}\n",
            "| name | what it is for | it is | default |",
            "|---|---|---|---|",
        ]
        for name, purpose in part.items():
            field = fields[name]
            lines.append(f"| `{name}` | {purpose} | {field.description} | {_default(field)} |")
        lines.append("")
    return _NOTE + "\n".join(lines)


def _default(field: Any) -> str:
    value = field.default
    if field.default_factory is not None or value is None:
        return "–"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, tuple):
        value = ",".join(value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def metrics_page() -> str:
    """Every metric: its kind, its labels, its meaning."""
    lines = [
        "# Metrics\n",
        "`GET /metrics`, in the text format of Prometheus, over all workers of one service. Labels never hold anything "
        "of a patient.\nEach histogram has `_bucket`, `_sum` and `_count`; what to watch is in "
        "[the runbook](../how-to/runbook.md).\n",
        "| name | kind | labels | what it says |",
        "|---|---|---|---|",
    ]
    for metric in _declared(Metrics().registry):
        family = next(iter(metric.describe()))
        counted = "_total" if family.type == "counter" else ""
        labels = ", ".join(f"`{label}`" for label in metric._labelnames) or "–"  # noqa: SLF001
        lines.append(
            f"| `{family.name}{counted}` | {family.type} | {labels} | {family.documentation} |"
        )
    return _NOTE + "\n".join(lines) + "\n"


def _declared(registry: CollectorRegistry) -> list[Any]:
    """The metrics of a registry. Their labels can be seen from outside only once they have been used."""
    return list(registry._collector_to_names)  # noqa: SLF001


def commands_page() -> str:
    """Every command, as its help describes it."""
    command = get_command(commands())
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="mpi")
    return _NOTE + text.replace("# `mpi`\n", "# The command `mpi`\n", 1).rstrip() + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "metrics.md": metrics_page,
    "command.md": commands_page,
}

if __name__ == "__main__":
    REFERENCE.mkdir(exist_ok=True)
    for name, written in PAGES.items():
        (REFERENCE / name).write_text(written(), encoding="utf-8")
    sys.stdout.write(f"{', '.join(PAGES)} are written.\n")
