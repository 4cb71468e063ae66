"""Settings: names that never change, and one sentence about what is wrong."""

from pathlib import Path

import pytest

from mpi.errors import ConfigurationError
from mpi.settings import (
    EMBEDDED,
    Settings,
    check_verato_address,
    cores,
    data_directory,
    is_loopback,
    read_settings,
)


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)


ORIGINAL = {
    "MPI_PROVIDER": ("provider", "verato"),
    "REDIS_HOST": ("redis_host", "localhost"),
    "REDIS_PORT": ("redis_port", 6379),
    "REDIS_POOL_SIZE": ("redis_pool_size", 50),
    "MONGO_POOL_SIZE": ("mongo_pool_size", 50),
    "CONNECTION_POOL_SIZE": ("connection_pool_size", 100),
    "CACHE_TTL": ("cache_ttl", 3600),
    "BATCH_SIZE": ("batch_size", 100),
}


@pytest.mark.parametrize("name", ORIGINAL)
def test_original_names_keep_their_defaults(name: str) -> None:
    attribute, default = ORIGINAL[name]
    assert Settings.model_fields[attribute].validation_alias == name
    assert getattr(read_settings(), attribute) == default


def test_mongodb_address_keeps_its_default_and_stays_secret() -> None:
    found = read_settings().mongodb_uri
    assert found.get_secret_value() == "mongodb://localhost:27017"
    assert "mongodb://" not in repr(read_settings())


def test_environment_is_read_and_overrides_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPI_PORT", "8123")
    assert read_settings().port == 8123
    assert read_settings({"MPI_PORT": "8124"}).port == 8124


DURATIONS = [
    str(field.validation_alias)
    for field in Settings.model_fields.values()
    if "number of seconds" in str(field.description)
]


@pytest.mark.parametrize("name", DURATIONS)
@pytest.mark.parametrize("value", ["400000000", "9" * 23])
def test_no_time_is_longer_than_can_be_computed_with(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"{name} must be a (whole )?number of seconds"):
        read_settings()


@pytest.mark.parametrize("name", ["CACHE_TTL", "MPI_REQUEST_TIMEOUT", "MPI_MONGO_TIMEOUT"])
@pytest.mark.parametrize("value", ["inf", "Infinity", "nan"])
def test_a_time_has_an_end(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"{name} must be a number of seconds"):
        read_settings()


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPI_PORT", "")
    assert read_settings().port == 8000


WRONG = {
    "MPI_PROVIDER": "sekret-provider",
    "MPI_STORE": "sekret-store",
    "MPI_CACHE": "memory,sekret",
    "MPI_PORT": "sekret",
    "REDIS_PORT": "0",
    "MPI_WORKERS": "0",
    "BATCH_SIZE": "-5",
    "CACHE_TTL": "sekret",
    "MPI_HMAC_KEY": "sekret",
    "MPI_DEMO": "sekret",
    "LOG_LEVEL": "sekret",
    "MPI_ENROLL": "sekret",
    "MPI_BODY_LIMIT": "17",
    "VERATO_API_VERSION": "sekret",
    "VERATO_SOURCE_MAP": "sekret",
    "VERATO_OVERLAY_PATTERN": "(sekret",
    "VERATO_BREAKER_SHARE": "2",
    "VERATO_MAX_TPS": "0.0001",
    "VERATO_TIMEOUT_CONNECT": "-1",
    "VERATO_TIMEOUT_READ": "3601",
    "VERATO_TIMEOUT_TOTAL": "1e9",
    "VERATO_BATCH_TIMEOUT_READ": "0",
    "VERATO_BATCH_TIMEOUT_TOTAL": "1e9",
    "VERATO_BREAKER_WINDOW": "1e9",
    "VERATO_BREAKER_PAUSE": "1e9",
    "VERATO_PATH_PREFIX": "/svc?sekret",
    "VERATO_RESPONSE_FORMATS": "sekret,,",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_named_with_its_remedy_and_not_repeated(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, WRONG[name])
    with pytest.raises(ConfigurationError) as caught:
        read_settings()
    assert caught.value.detail.startswith(f"{name} must be ")
    assert "sekret" not in caught.value.detail
    assert "correct it, or unset it" in caught.value.detail


def test_every_setting_says_what_it_may_be() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert str(field.validation_alias).isupper(), name


def test_data_lies_in_the_users_data_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere/data")
    assert data_directory() == Path("/somewhere/data/mpi")
    assert read_settings().sqlite_path == Path("/somewhere/data/mpi/mpi.sqlite3")
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", "/data/ada")
    assert data_directory() == Path("/data/ada/.local/share/mpi")


def test_the_demo_has_a_database_of_its_own() -> None:
    assert read_settings({"MPI_DEMO": "true"}).sqlite_path.name == "mpi-demo.sqlite3"
    chosen = read_settings({"MPI_DEMO": "true", "MPI_SQLITE_PATH": "/x/y.sqlite3"})
    assert chosen.sqlite_path == Path("/x/y.sqlite3")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.org", False),
        ("localhost.example.org", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize("provider", ["verato", "hybrid"])
def test_verato_needs_an_address(provider: str) -> None:
    chosen = {"MPI_PROVIDER": provider}
    with pytest.raises(
        ConfigurationError, match=f"MPI_PROVIDER={provider} needs VERATO_ENDPOINT"
    ) as caught:
        check_verato_address(read_settings(chosen))
    assert "mpi serve --embedded" in caught.value.detail
    check_verato_address(read_settings(chosen | {"VERATO_ENDPOINT": "https://cust1.example"}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MPI_HYBRID_STRATEGY", "coin_toss"),
        ("MPI_HYBRID_FEED", "some"),
        ("MPI_HYBRID_DEADLINE", "0"),
        ("MPI_HYBRID_MONTHLY_CALLS", "0"),
        ("MPI_HYBRID_MONTHLY_CALLS", "1000000001"),
        ("MPI_OUTBOX_LEASE", "1e300"),
        ("VERATO_NOTIFY_INTERVAL", "86401"),
        ("VERATO_NOTIFY_OVERLAP", "-1"),
    ],
)
def test_a_wrong_setting_of_hybrid_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be "):
        read_settings({name: value})


def test_the_map_of_sources_is_a_json_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERATO_SOURCE_MAP", '{"clinic": "ACME.CLINIC"}')
    assert read_settings().verato_sources == {"clinic": "ACME.CLINIC"}


def test_embedded_is_released() -> None:
    check_verato_address(read_settings(EMBEDDED))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ()),
        ({"MPI_PROVIDER": "verato"}, ("redis", "mongodb")),
        ({"MPI_CACHE_REMOTE_FOR": "internal"}, ("redis", "mongodb")),
        ({"MPI_CACHE_REMOTE_FOR": "internal", "MPI_CACHE": "mongodb,redis"}, ("mongodb", "redis")),
        ({"MPI_CACHE_REMOTE_FOR": "internal", "MPI_CACHE": "memory"}, ()),
        ({"MPI_CACHE_REMOTE_FOR": "", "MPI_PROVIDER": "verato"}, ()),
    ],
)
def test_remote_tiers_serve_the_providers_they_are_worth_it_for(
    changes: dict[str, str], expected: tuple[str, ...]
) -> None:
    chosen = read_settings({"MPI_PROVIDER": "internal", "MPI_STORE": "sqlite", **changes})
    assert chosen.remote_tiers == expected


@pytest.mark.parametrize("order", ["redis,memory", "redis,redis", "memory,disk"])
def test_tiers_in_an_order_without_sense_are_refused(order: str) -> None:
    with pytest.raises(ConfigurationError, match="memory first"):
        read_settings({"MPI_CACHE": order})


@pytest.fixture
def _homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """No HOME, and a user whom the system does not know."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 7)


@pytest.mark.usefixtures("_homeless")
def test_without_a_home_folder_the_remedy_is_told() -> None:
    for look in (data_directory, read_settings):
        with pytest.raises(ConfigurationError, match=r"XDG_DATA_HOME is missing.*; set it"):
            look()
    with pytest.raises(ConfigurationError, match="MPI_SQLITE_PATH must be the path"):
        read_settings({"MPI_SQLITE_PATH": "~/x.sqlite3"})
    assert read_settings({"MPI_SQLITE_PATH": "/x.sqlite3"}).sqlite_path == Path("/x.sqlite3")


NO_TEXT = "\udcff"  # what a variable holds whose byte is 0xFF


@pytest.mark.parametrize(
    "name",
    ["MPI_HMAC_KEY", "VERATO_API_KEY", "VERATO_USERNAME", "MPI_DB", "MPI_HOST", "MONGODB_URI"],
)
def test_what_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, f"{NO_TEXT}:{'x' * 32}")
    with pytest.raises(ConfigurationError, match=f"{name} must be text in UTF-8; correct it"):
        read_settings()


def test_a_path_may_hold_any_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPI_SQLITE_PATH", f"/x/{NO_TEXT}.sqlite3")
    assert read_settings().sqlite_path.name == f"{NO_TEXT}.sqlite3"


def test_a_home_folder_in_the_path_of_the_database_is_not_taken_for_a_name() -> None:
    assert (
        read_settings({"MPI_SQLITE_PATH": "~/x.sqlite3"}).sqlite_path == Path.home() / "x.sqlite3"
    )


def test_secrets_are_read_from_files_and_variables_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "MPI_HMAC_KEY").write_text("k" * 32 + "\n")
    (tmp_path / "MPI_PORT").write_text("8123")
    monkeypatch.setenv("MPI_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("MPI_PORT", "8124")
    settings = read_settings()
    assert settings.hmac_key is not None
    assert settings.hmac_key.get_secret_value() == "k" * 32
    assert settings.port == 8124


def test_a_wrong_value_in_a_file_is_named_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "MPI_HMAC_KEY").write_text("sekret")
    monkeypatch.setenv("MPI_SECRETS_DIR", str(tmp_path))
    with pytest.raises(ConfigurationError) as caught:
        read_settings()
    assert caught.value.detail.startswith("MPI_HMAC_KEY must be ")
    assert "sekret" not in caught.value.detail


@pytest.mark.parametrize("name", ["MPI_HMAC_KEY", "mpi_hmac_key"])
def test_a_file_that_is_no_text_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).write_bytes(b"\xff" * 40)
    monkeypatch.setenv("MPI_SECRETS_DIR", str(tmp_path))
    with pytest.raises(
        ConfigurationError, match=f"{name} in the folder MPI_SECRETS_DIR must be text"
    ):
        read_settings()


@pytest.mark.parametrize("what", ["nothing", "a file", "a folder for a secret"])
def test_secrets_that_cannot_be_read_stop_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    folder = tmp_path / "secrets"
    if what == "a file":
        folder.write_text("")
    elif what == "a folder for a secret":
        (folder / "MPI_HMAC_KEY").mkdir(parents=True)
    monkeypatch.setenv("MPI_SECRETS_DIR", str(folder))
    with pytest.raises(ConfigurationError, match="MPI_SECRETS_DIR must be a folder of files"):
        read_settings()


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", 4), ("150000 100000", 2), ("50000 100000", 1), ("900000 100000", 4), ("", 4)],
)
def test_cores_are_those_that_a_container_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, expected: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3})
    (tmp_path / "cpu.max").write_text(quota)
    assert cores(tmp_path / "cpu.max") == expected
    assert cores(tmp_path / "missing") == 4


def test_one_worker_per_core_serves_but_only_one_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpi.settings.cores", lambda: 8)
    assert read_settings({"MPI_STORE": "mongodb"}).worker_count == 8
    assert read_settings(EMBEDDED).worker_count == 1
    assert read_settings({**EMBEDDED, "MPI_WORKERS": "3"}).worker_count == 3
