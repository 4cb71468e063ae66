"""The manifests are valid, and keep what they promise about rights, secrets and stopping."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from mpi.settings import Settings, read_settings

VERSION = "1.37"
Manifest = dict[str, Any]


@pytest.fixture
def folder(checkout: Path) -> Path:
    return checkout / "deploy/kubernetes"


@pytest.fixture
def manifests(folder: Path) -> list[Manifest]:
    return [
        document
        for page in sorted(folder.glob("*.yaml"))
        if page.name != "kustomization.yaml"
        for document in yaml.safe_load_all(page.read_text("utf-8"))
    ]


def _of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    return [document for document in manifests if document["kind"] in kinds]


def _pods(manifests: list[Manifest]) -> list[Manifest]:
    return [found["spec"]["template"]["spec"] for found in _of_kind(manifests, "Deployment", "Job")]


def test_every_manifest_fits_its_schema(manifests: list[Manifest]) -> None:
    assert len(manifests) >= 10
    for document in manifests:
        kubernetes_validate.validate(document, VERSION, strict=True)


def test_a_misspelt_field_would_be_found(manifests: list[Manifest]) -> None:
    [deployment] = _of_kind(manifests, "Deployment")
    deployment["spec"]["template"]["spec"]["securityContex"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSION, strict=True)


def test_the_kustomization_lists_every_file_or_says_why_not(folder: Path) -> None:
    text = (folder / "kustomization.yaml").read_text("utf-8")
    for page in folder.glob("*.yaml"):
        assert page.name in text or page.name == "kustomization.yaml"
    assert all((folder / name).is_file() for name in yaml.safe_load(text)["resources"])


def test_pods_hold_no_rights_that_they_do_not_need(manifests: list[Manifest]) -> None:
    assert len(_pods(manifests)) == 2
    for pod in _pods(manifests):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert "memory" in container["resources"]["limits"]


def test_secrets_are_only_referred_to(manifests: list[Manifest]) -> None:
    assert _of_kind(manifests, "Secret") == []
    [configuration] = _of_kind(manifests, "ConfigMap")
    secret = {"MPI_HMAC_KEY", "MONGODB_URI", "VERATO_API_KEY"}
    assert set(configuration["data"]) & secret == set()
    for pod in _pods(manifests):
        [mounted] = [volume for volume in pod["volumes"] if "secret" in volume]
        [container] = pod["containers"]
        assert container["env"] == [{"name": "MPI_SECRETS_DIR", "value": "/run/secrets/mpi"}]
        paths = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert paths[mounted["name"]] == "/run/secrets/mpi"


def test_the_configuration_holds_settings_that_the_service_takes(manifests: list[Manifest]) -> None:
    [configuration] = _of_kind(manifests, "ConfigMap")
    known = {str(field.validation_alias) for field in Settings.model_fields.values()}
    assert set(configuration["data"]) <= known
    assert read_settings(configuration["data"]).store == "mongodb"


def test_a_pod_is_given_the_time_that_the_service_takes_to_stop(manifests: list[Manifest]) -> None:
    [configuration] = _of_kind(manifests, "ConfigMap")
    [deployment] = _of_kind(manifests, "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    leaving = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    stopping = read_settings(configuration["data"]).shutdown_timeout
    assert pod["terminationGracePeriodSeconds"] >= leaving + stopping + 15


def test_selectors_meet_the_pods_they_mean(manifests: list[Manifest]) -> None:
    [deployment], [job] = _of_kind(manifests, "Deployment"), _of_kind(manifests, "Job")
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    once = job["spec"]["template"]["metadata"]["labels"].items()
    [service] = _of_kind(manifests, "Service")
    [budget] = _of_kind(manifests, "PodDisruptionBudget")
    assert service["spec"]["selector"].items() <= labels
    assert not service["spec"]["selector"].items() <= once, "a job answers no requests"
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels
    assert not budget["spec"]["selector"]["matchLabels"].items() <= once
    for policy in _of_kind(manifests, "NetworkPolicy"):
        selected = policy["spec"]["podSelector"].get("matchLabels", {}).items()
        assert selected <= labels
        assert selected <= once
    [scaler] = _of_kind(manifests, "HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"], "the autoscaler and the manifest would fight"


def test_nothing_is_let_in_or_out_unless_it_is_named(manifests: list[Manifest]) -> None:
    policies = [policy["spec"] for policy in _of_kind(manifests, "NetworkPolicy")]
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in policies
