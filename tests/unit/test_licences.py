"""The licence gate refuses what is not permissive, and what says nothing."""

from importlib.metadata import Distribution
from pathlib import Path

import pytest

from scripts.check_licences import check, is_permissive, runtime_closure


def _package(folder: Path, name: str, *headers: str) -> Distribution:
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *headers]
    (info / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Distribution.at(info)


@pytest.mark.parametrize(
    "expression",
    [
        "MIT",
        "BSD-3-Clause AND (Apache-2.0 OR GPL-3.0-only)",
        "GPL-2.0-only OR MIT",
        "Apache-2.0 WITH LLVM-exception",
        "((MIT))",
    ],
)
def test_a_permissive_choice_is_enough(expression: str) -> None:
    assert is_permissive(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "GPL-3.0-or-later",
        "LGPL-2.1-only",
        "AGPL-3.0-only",
        "SSPL-1.0",
        "MIT AND GPL-2.0-only",
        "MIT AND (LGPL-3.0-only OR AGPL-3.0-only)",
        "GPL-2.0-only WITH Classpath-exception-2.0",
        "Proprietary",
        "(MIT",
        "MIT AND",
    ],
)
def test_everything_else_is_refused(expression: str) -> None:
    assert not is_permissive(expression)


@pytest.mark.parametrize(
    ("headers", "permitted"),
    [
        (("License-Expression: MIT",), True),
        (("License-Expression: GPL-3.0-only",), False),
        (("Classifier: License :: OSI Approved :: BSD License",), True),
        (("Classifier: License :: OSI Approved", "License: Apache 2.0"), True),
        (
            (
                "Classifier: License :: OSI Approved :: MIT License",
                "Classifier: License :: OSI Approved :: GNU Affero General Public License v3",
            ),
            False,
        ),
        (("License: SSPL-1.0",), False),
        ((), False),
    ],
)
def test_the_licence_is_found_where_packages_state_it(
    tmp_path: Path, headers: tuple[str, ...], permitted: bool
) -> None:
    [finding] = check([_package(tmp_path, "crafted", *headers)])
    assert finding.permitted is permitted


def test_a_package_behind_a_package_is_judged_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _package(
        tmp_path,
        "crafted-outer",
        "License-Expression: MIT",
        "Provides-Extra: extra",
        "Requires-Dist: crafted-inner; extra == 'extra'",
        "Requires-Dist: crafted-elsewhere; sys_platform == 'nowhere'",
    )
    _package(tmp_path, "crafted-inner", "License-Expression: AGPL-3.0-only")
    monkeypatch.syspath_prepend(tmp_path)

    findings = check(runtime_closure(["crafted-outer[extra]>=1"]))

    assert [(each.package, each.permitted) for each in findings] == [
        ("crafted-inner", False),
        ("crafted-outer", True),
    ]
    assert [each.package for each in check(runtime_closure(["crafted-outer"]))] == ["crafted-outer"]
