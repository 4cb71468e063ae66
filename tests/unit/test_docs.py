"""Documents keep their form, and their links lead somewhere."""

import re
from pathlib import Path

from mpi.evaluation.boundary import TEACHES
from mpi.matching.comparators import MISSING
from mpi.matching.comparison import TRAITS
from mpi.matching.decision import NOT_SAME, Grade
from mpi.matching.vetoes import _CONTRADICTIONS, UNPROVEN
from mpi.providers.hybrid import verdict
from mpi.providers.verato import provider as verato
from mpi.providers.verato.links import SEVERAL
from mpi.service.alignment import REFUSES
from mpi.service.rearrangement import JOINED, PARTED
from mpi.service.refusals import UNTOLD

SECTIONS = ["Context", "Decision", "Consequences", "Rejected"]
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)#\s]+)(?:#[^)]*)?\)")


def _decisions(checkout: Path) -> list[Path]:
    return sorted((checkout / "docs/adr").glob("[0-9]*.md"))


def test_decisions_are_numbered_in_order(checkout: Path) -> None:
    numbers = [page.name[:4] for page in _decisions(checkout)]
    assert numbers
    assert numbers == [f"{number:04d}" for number in range(1, len(numbers) + 1)]


def test_every_decision_keeps_the_form(checkout: Path) -> None:
    for page in _decisions(checkout):
        text = page.read_text("utf-8")
        assert re.match(rf"# {page.name[:4]}\. \S", text), page.name
        status = (
            r"^Status: (accepted|(accepted, in part )?replaced by \d{4}) · Date: \d{4}-\d{2}-\d{2}$"
        )
        assert re.search(status, text, re.MULTILINE), page.name
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS, page.name


def test_links_between_documents_lead_somewhere(checkout: Path) -> None:
    pages = [*checkout.glob("*.md"), *(checkout / "docs").rglob("*.md")]
    broken = [
        f"{page.relative_to(checkout)}: {target}"
        for page in pages
        for target in LINK.findall(page.read_text("utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_the_glossary_is_in_order(checkout: Path) -> None:
    parts = (checkout / "docs/glossary.md").read_text("utf-8").split("\n## ")[1:]
    assert parts
    for part in parts:
        words = re.findall(r"^\*\*(.+)\*\*$", part, re.MULTILINE)
        assert words == sorted(words), part.splitlines()[0]


def test_every_promise_names_a_test_that_exists(checkout: Path) -> None:
    text = (checkout / "docs/explanation/semantics.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and "|---" not in line]
    promises = [row for row in rows if not row.startswith("| sentence ")]
    named = [re.findall(r"`(test_\w+)` \|$", row) for row in promises]
    assert [row for row, names in zip(promises, named, strict=True) if not names] == []
    sources = [path.read_text("utf-8") for path in (checkout / "tests").rglob("test_*.py")]
    known = {name for source in sources for name in re.findall(r"def (test_\w+)\(", source)}
    assert {name for names in named for name in names} - known == set()


def _codes_of(checkout: Path, heading: str) -> dict[str, str]:
    """The rows of a table of the page about explanations: what its first cell names, and the rest."""
    page = (checkout / "docs/reference/explanations.md").read_text("utf-8")
    rows = re.findall(
        r"^\| (`[^|]+`) \|(.*)\|$", page.split(f"## {heading}\n")[1].split("\n## ")[0], re.MULTILINE
    )
    return {code: rest for first, rest in rows for code in re.findall(r"`([^`]+)`", first)}


def test_the_page_about_explanations_tells_every_code(checkout: Path) -> None:
    assert set(_codes_of(checkout, "Grades")) - {"grade"} == set(Grade)
    vetoes = set(_codes_of(checkout, "What forbids a link")) - {"vetoes"}
    assert vetoes == {*_CONTRADICTIONS, UNPROVEN, NOT_SAME}
    levels = _codes_of(checkout, "Levels")
    for trait in TRAITS:
        told = set(re.findall(r"`([a-z_]+)`", levels[trait.name]))
        assert told == {*trait.levels} - {MISSING}, trait.name
    reasons = _codes_of(checkout, "Why a task asks")
    assert reasons.keys() >= {
        REFUSES,
        UNTOLD,
        verato.WAITS,
        PARTED,
        JOINED,
        TEACHES,
        verdict.DISAGREE,
    }
    assert reasons.keys() >= {
        verdict.VETOED,
        verdict.ASSERTED,
        verdict.ELSEWHERE,
    }
    assert reasons.keys() >= {verato.ASSERTED, verato.OTHER_LINK, SEVERAL}
