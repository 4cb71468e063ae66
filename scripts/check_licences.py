"""Fails when something the service needs at run time is not under a permissive licence.

The set is the closure of ``dependencies`` in pyproject.toml over what each installed package
requires. A package that states no licence fails too: unknown is not permissive.
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"

# SPDX identifiers. MPL-2.0 binds only changes to the files under it, and we change none.
PERMISSIVE = frozenset(
    {
        "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0",
        "MPL-2.0", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib",
    }
)  # fmt: skip

# Older packages name their licence in their own words, in a classifier or the License field.
SPELLINGS = {
    "apache 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one package states, and whether it may be used at run time."""

    package: str
    licence: str
    permitted: bool


def stated_licence(package: Distribution) -> str:
    """Return the SPDX expression of *package*, or its own words, or an empty string."""
    metadata = package.metadata
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    classified = [
        _spdx(line.rsplit(" :: ", 1)[1])
        for line in metadata.get_all("Classifier") or []
        if line.startswith("License :: ") and line != "License :: OSI Approved"
    ]
    if classified:
        # Several classifiers do not say whether they are alternatives, so all of them must do.
        return " AND ".join(classified)
    return _spdx(metadata["License"].strip()) if "License" in metadata else ""


def is_permissive(expression: str) -> bool:
    """Say whether an SPDX *expression* leaves a choice that is permissive throughout.

    What cannot be read is not permissive. ``WITH`` exceptions only ever add permissions, so they
    are passed over.
    """
    expression = re.sub(r"\s+WITH\s+[^\s()]+", "", expression)
    while innermost := re.search(r"\(([^()]*)\)", expression):
        verdict = "MIT" if _has_permissive_choice(innermost[1]) else "refused"
        expression = expression[: innermost.start()] + verdict + expression[innermost.end() :]
    return _has_permissive_choice(expression)


def runtime_closure(requirements: Iterable[str]) -> list[Distribution]:
    """Return the installed packages behind *requirements*, sorted by name.

    Raises:
        PackageNotFoundError: one of them is not installed.
    """
    found: dict[str, Distribution] = {}
    pending = [Requirement(line) for line in requirements]
    seen: set[tuple[str, frozenset[str]]] = set()
    while pending:
        wanted = pending.pop()
        key = (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        package = found[key[0]] = distribution(wanted.name)
        pending += [
            inner
            for inner in map(Requirement, package.requires or [])
            if _applies(inner, wanted.extras)
        ]
    return [found[name] for name in sorted(found)]


def check(packages: Iterable[Distribution]) -> list[Finding]:
    """Judge every package."""
    return [
        Finding(package.metadata["Name"], licence or "unknown", is_permissive(licence))
        for package in packages
        for licence in [stated_licence(package)]
    ]


def main() -> int:
    """Print the licences (with --quiet, only those that are refused); 1 when one is refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quiet", action="store_true", help="print only what is refused")
    options = parser.parse_args()
    dependencies = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]["dependencies"]
    try:
        findings = check(runtime_closure(dependencies))
    except PackageNotFoundError as missing:
        print(f"{missing.name} is not installed; run: make install", file=sys.stderr)
        return 1
    refused = [finding for finding in findings if not finding.permitted]
    for finding in refused if options.quiet else findings:
        mark = "ok     " if finding.permitted else "REFUSED"
        print(f"{mark} {finding.package:24} {finding.licence}")
    print(f"Licences: {len(findings) - len(refused)} permissive, {len(refused)} refused.")
    return 1 if refused else 0


def _has_permissive_choice(flat: str) -> bool:
    # AND binds tighter than OR in SPDX.
    return any(
        all(term.strip() in PERMISSIVE for term in choice.split(" AND "))
        for choice in flat.split(" OR ")
    )


def _spdx(words: str) -> str:
    return SPELLINGS.get(words.lower(), words)


def _applies(requirement: Requirement, extras: set[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ["", *extras])


if __name__ == "__main__":
    sys.exit(main())
