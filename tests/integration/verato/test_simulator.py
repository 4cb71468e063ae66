"""The simulator behaves as Verato's interface is described, over real HTTPS."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mpi.demo.verato.certificates import Authority
from mpi.demo.verato.faults import Kind
from tests.support.verato import (
    OPTIONS,
    SOURCE,
    Verato,
    client_context,
    envelope,
    identity,
    operation,
    registrations,
)

MADE = registrations(300)
JOHN = [row for row, truth in MADE if truth.entity_id == MADE[0][1].entity_id]


@pytest.fixture
def client(verato: Verato) -> Iterator[httpx2.Client]:
    auth = (OPTIONS.username, OPTIONS.password)
    with httpx2.Client(
        base_url=verato.endpoint, verify=client_context(verato.files), auth=auth, timeout=2
    ) as made:
        yield made


def ask(client: httpx2.Client, name: str, content: dict[str, Any], version: str = "v1") -> Any:
    response = client.post(operation(name, version), json=envelope(content))
    assert response.status_code == 200
    assert response.json()["trackingId"] == "t-1"
    return response.json()


def post(client: httpx2.Client, row: dict[str, str], native_id: str, source: str = SOURCE) -> Any:
    given = identity(row) | {"sources": [{"name": source, "id": native_id}]}
    return ask(client, "postIdentity", {"identity": given})


def source(native_id: str, name: str = SOURCE) -> dict[str, str]:
    return {"name": name, "id": native_id}


def test_registrations_of_one_person_get_one_link(client: httpx2.Client) -> None:
    first = post(client, JOHN[0], "1")["content"]["linkId"]
    assert post(client, JOHN[1], "2", "HOSP-B")["content"]["linkId"] == first
    assert post(client, MADE[1][0], "3")["content"]["linkId"] != first
    found = ask(client, "demographicsQuery", {"identity": identity(JOHN[1])})
    assert found["content"]["linkId"] == first
    assert found["content"]["identity"]["sources"] == [source("1"), source("2", "HOSP-B")]


def test_nobody_is_a_success_without_content(client: httpx2.Client) -> None:
    for name, content in (
        ("demographicsQuery", {"identity": identity(JOHN[0])}),
        ("nativeIdQuery", {"source": source("nobody")}),
        ("identityIdQuery", {"linkId": "nobody"}),
    ):
        answer = ask(client, name, content)
        assert (answer["success"], answer["content"]) == (True, {})


def test_the_second_version_wraps_values(client: httpx2.Client) -> None:
    given: dict[str, Any] = identity(JOHN[0]) | {"sources": [source("1")]}
    given["datesOfBirth"] = [{"dateOfBirth": "1980-01-01"}]
    for trait, member in (("ssns", "ssn"), ("genders", "gender"), ("emails", "email")):
        given[trait] = [{member: value} for value in given[trait]]
    posted = ask(client, "postIdentity", {"identity": given}, "v2")
    found = ask(client, "nativeIdQuery", {"source": source("1")}, "v2")["content"]
    assert found["linkId"] == posted["content"]["linkId"]
    assert found["identity"]["datesOfBirth"] == [{"dateOfBirth": "1980-01-01"}]
    assert client.post(operation("linkIdentities", "v2"), json=envelope({})).status_code == 404


def test_search_ranks_with_scores_and_verdicts(client: httpx2.Client) -> None:
    own = post(client, JOHN[0], "1")["content"]["linkId"]
    stranger = JOHN[0] | {"first_name": "Zebulon", "ssn": "", "email": "", "phone": ""}
    other = post(client, stranger, "2")["content"]["linkId"]
    asked = {"identity": identity(JOHN[1]), "matchScoreThreshold": 0.0, "maxSearchResults": 5}
    results = ask(client, "demographicsSearch", asked)["content"]["searchResults"]
    assert [result["linkId"] for result in results] == [own, other]
    assert results[0]["sameIdentity"] == "Y"
    assert results[1]["sameIdentity"] in {"U", "N"}
    assert results[0]["matchScore"] >= 0.9 > results[1]["matchScore"]
    asked["maxSearchResults"] = 1
    assert len(ask(client, "demographicsSearch", asked)["content"]["searchResults"]) == 1


def test_new_content_of_a_known_number_stays_with_its_person(client: httpx2.Client) -> None:
    first = post(client, JOHN[0], "1")["content"]["linkId"]
    moved = JOHN[0] | {"address": "1 Nowhere Lane", "zip": "00001", "email": "new@example.org"}
    assert ask(client, "demographicsQuery", {"identity": identity(moved)})["content"] == {}
    assert post(client, moved, "1")["content"]["linkId"] == first
    found = ask(client, "demographicsQuery", {"identity": identity(moved)})
    assert found["content"]["linkId"] == first


def test_another_person_on_a_known_number_is_refused_and_told(client: httpx2.Client) -> None:
    post(client, JOHN[0], "1")
    refused = post(
        client, MADE[1][0] | {"dob": "1951-02-03", "last_name": "Quirk", "maiden_name": ""}, "1"
    )
    assert refused["success"] is False
    assert "overlay" in refused["message"]
    assert told(client)[-1]["notificationType"] == "IDENTITY_OVERLAY_REJECTED"


def told(client: httpx2.Client, page: int = 0, size: int = 100) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    span = {"startDate": (now - timedelta(hours=1)).isoformat(), "endDate": now.isoformat()}
    asked = span | {"pageNumber": page, "pageSize": size}
    found: list[dict[str, Any]] = ask(client, "searchNotifications", asked)["content"][
        "notifications"
    ]
    return found


def test_link_unlink_merge_and_unmerge_move_registrations_and_tell(client: httpx2.Client) -> None:
    one = post(client, JOHN[0], "1")["content"]["linkId"]
    other = post(client, MADE[1][0], "2")["content"]["linkId"]

    def link_of(native_id: str) -> str:
        found = ask(client, "nativeIdQuery", {"source": source(native_id)})["content"]["linkId"]
        return str(found)

    ask(client, "linkIdentities", {"linkToSource": source("1"), "source": source("2")})
    assert link_of("2") == one
    moved = told(client)[-1]["notificationLowerCaseBody"]
    assert (moved["nativeId"], moved["previousLinkId"], moved["newLinkId"]) == ("2", other, one)
    assert ask(client, "identityIdQuery", {"linkId": other})["content"] == {
        "linkId": one,
        "requestedLinkId": other,
        "identity": ask(client, "nativeIdQuery", {"source": source("1")})["content"]["identity"],
    }

    apart = ask(
        client, "unlinkIdentities", {"unlinkFromSource": source("1"), "source": source("2")}
    )
    assert apart["content"] == {"unlinkedId": link_of("2"), "unlinkedFromId": one}
    again = {"unlinkFromSource": source("1"), "source": source("2")}
    assert ask(client, "unlinkIdentities", again)["success"] is False

    ask(client, "mergeIdentities", {"toSurviveSource": source("1"), "toRetireSource": source("2")})
    found = ask(client, "nativeIdQuery", {"source": source("2")})["content"]
    assert (found["linkId"], found["identity"]["sources"]) == (one, [source("1")])
    assert post(client, MADE[1][0], "2")["success"] is False
    back = {"unmergeFromSource": source("1"), "unmergeSource": source("2")}
    assert ask(client, "unmergeIdentities", back)["content"]["linkId"] == link_of("2") != one


def test_deactivated_registrations_are_found_by_number_only_and_deleted_ones_not_at_all(
    client: httpx2.Client,
) -> None:
    post(client, JOHN[0], "1")
    gone = ask(client, "deactivateSourceWs", {"sourceToDeactivate": source("1")})["content"]
    assert len(gone["linkIdsDeactivated"]) == 1
    query = {"identity": identity(JOHN[0])}
    assert ask(client, "demographicsQuery", query)["content"] == {}
    assert ask(client, "nativeIdQuery", {"source": source("1")})["content"] != {}
    ask(client, "reactivateSourceWs", {"sourceToReactivate": source("1")})
    assert ask(client, "demographicsQuery", query)["content"] != {}
    ask(client, "deleteSourceIdentity", {"source": source("1")})
    assert ask(client, "nativeIdQuery", {"source": source("1")})["content"] == {}


def test_a_new_source_can_be_used_only_after_a_while(client: httpx2.Client, verato: Verato) -> None:
    assert post(client, JOHN[0], "1", "NEW")["success"] is False
    made = ask(client, "createDataSource", {"sources": [{"name": "NEW"}, {"name": "N W"}]})
    assert [each["status"] for each in made["content"]["sources"]] == ["CREATED", "FAILED"]
    assert post(client, JOHN[0], "1", "NEW")["success"] is False
    verato.control.post("/__sim/clock", json={"advance_s": 900})
    assert post(client, JOHN[0], "1", "NEW")["success"] is True


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"trackingId": "t"}', b'{"content": {"identity": {"sources": []}}}'],
)
def test_what_is_malformed_is_a_blank_400(client: httpx2.Client, body: bytes) -> None:
    response = client.post(operation("postIdentity"), content=body)
    assert (response.status_code, response.content) == (400, b"")


def test_a_wrong_path_is_a_blank_404(client: httpx2.Client) -> None:
    for path in ("/link-ws/svc/nothing", "/elsewhere/postIdentity", "/link-ws/svc/v2/v2/x"):
        response = client.post(path, json=envelope({}))
        assert (response.status_code, response.content) == (404, b"")


def test_a_wrong_password_is_refused_in_html(verato: Verato) -> None:
    context = client_context(verato.files)
    with httpx2.Client(base_url=verato.endpoint, verify=context, auth=("ada", "no")) as client:
        response = client.post(operation("nativeIdQuery"), json=envelope({}))
    assert response.status_code == 401
    assert "User is not authenticated" in response.text


def test_a_client_that_leaves_in_the_middle_of_a_request_is_nothing_to_tell(
    verato: Verato, caplog: pytest.LogCaptureFixture
) -> None:
    address = urlsplit(verato.endpoint)
    host, port = address.hostname or "", address.port or 0
    context = client_context(verato.files)
    with (
        socket.create_connection((host, port)) as plain,
        context.wrap_socket(plain, server_hostname=host) as left,
    ):
        path = operation("nativeIdQuery")
        left.sendall(
            f"POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9\r\n\r\n{{".encode()
        )
        time.sleep(0.1)
    with httpx2.Client(base_url=verato.endpoint, verify=context) as client:
        assert client.post(operation("nativeIdQuery"), json=envelope({})).status_code == 401
    assert caplog.records == []


def test_nobody_gets_in_without_a_certificate_of_the_authority(
    verato: Verato, tmp_path: Path
) -> None:
    key, certificate = Authority(datetime.now(UTC)).client()
    cert = tmp_path / "stranger.pem"
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    cert.write_bytes(certificate.public_bytes(Encoding.PEM) + pem)
    nobody = ssl.create_default_context(cafile=str(verato.files.ca))
    for context in (nobody, client_context(verato.files, cert, cert)):
        with (
            httpx2.Client(base_url=verato.endpoint, verify=context, auth=("a", "b")) as client,
            pytest.raises(httpx2.TransportError),
        ):
            client.post(operation("nativeIdQuery"), json=envelope({}))


def test_more_than_the_limit_is_not_served(client: httpx2.Client, verato: Verato) -> None:
    verato.pace(tps=0.001)
    answers = [
        client.post(operation("nativeIdQuery"), json=envelope({"source": source("1")}))
        for _ in range(3)
    ]
    assert [answer.status_code for answer in answers] == [200, 429, 429]
    assert "above the defined limit" in answers[1].text


GATEWAY = {"401": 401, "403_html": 403, "400_blank": 400, "404_blank": 404, "429_text": 429} | {
    "500_blank": 500,
    "503": 503,
    "504_html": 504,
}
TORN = {"reset", "close_mid_body", "hang", "applied_then_timeout"}
APPLIED = {
    "close_mid_body", "malformed_json", "empty_200", "wrong_tracking_id", "unknown_fields",
    "missing_linkId", "numeric_linkId", "long_linkId", "inflated", "endless_pages",
    "applied_then_timeout", "slow:10", "link_id_changed",
    "notifications_out_of_order", "paging_shift",
}  # fmt: skip


@pytest.mark.parametrize("kind", [f"{kind}:10" if kind == "slow" else str(kind) for kind in Kind])
def test_every_fault_happens_once_and_applies_what_it_should(
    client: httpx2.Client, verato: Verato, kind: str
) -> None:
    verato.plan(kind, "postIdentity")
    client.timeout = httpx2.Timeout(0.5)
    given = {"identity": identity(JOHN[0]) | {"sources": [source("1")]}}
    try:
        answer = client.post(operation("postIdentity"), json=envelope(given))
    except httpx2.TransportError:
        assert kind in TORN
    else:
        assert kind not in TORN
        assert answer.status_code == GATEWAY.get(kind, 200)
    expected = 2 if kind == "duplicate_delivery" else int(kind in APPLIED)
    assert verato.applied("postIdentity") == expected
    client.timeout = httpx2.Timeout(5)
    assert post(client, JOHN[0], "1")["success"] is True


def test_notifications_come_twice_out_of_order_and_shifted_when_told_to(
    client: httpx2.Client, verato: Verato
) -> None:
    for number in range(5):
        post(client, MADE[number][0], str(number))
    ids = [entry["notificationLowerCaseBody"]["nativeId"] for entry in told(client)]
    assert ids == list("01234")
    verato.plan("notifications_out_of_order", "searchNotifications")
    assert [entry["notificationLowerCaseBody"]["nativeId"] for entry in told(client)] == ids[::-1]
    verato.plan("duplicate_delivery", "searchNotifications")
    assert len(told(client)) == 10
    verato.plan("paging_shift", "searchNotifications")
    shifted = [entry["notificationLowerCaseBody"]["nativeId"] for entry in told(client, 1, 2)]
    assert shifted == ["1", "2"]


def test_a_changed_link_id_is_told_and_the_old_one_still_leads_there(
    client: httpx2.Client, verato: Verato
) -> None:
    verato.plan("link_id_changed", "postIdentity")
    old = post(client, JOHN[0], "1")["content"]["linkId"]
    new = ask(client, "nativeIdQuery", {"source": source("1")})["content"]["linkId"]
    assert new != old
    assert ask(client, "identityIdQuery", {"linkId": old})["content"]["linkId"] == new
    assert told(client)[-1]["notificationLowerCaseBody"]["newLinkId"] == new


def test_the_control_port_takes_nonsense_for_nonsense(verato: Verato) -> None:
    for fault in ({"kind": "sulking"}, {"kind": "slow:soon"}, {"kind": "503", "times": 0}, 7):
        assert verato.control.post("/__sim/faults", json=fault).status_code in {204, 422}
    assert verato.state()["faults"] == 0


def test_certificates_are_kept_and_readable_by_their_owner_only(verato: Verato) -> None:
    folder = verato.files.folder
    modes = {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}
    assert set(modes.values()) == {0o600}
    certificate = x509.load_pem_x509_certificate(verato.files.client_cert.read_bytes())
    assert certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=300)
