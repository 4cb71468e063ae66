"""What is written by `make generate` is what the code says now."""

from pathlib import Path

import pytest

from scripts import make_dashboard, make_reference


@pytest.mark.parametrize("name", make_reference.PAGES)
def test_the_reference_is_current(name: str) -> None:
    written = (make_reference.REFERENCE / name).read_text("utf-8")
    assert written == make_reference.PAGES[name](), "run `make generate`"


def test_the_dashboard_is_current() -> None:
    written = make_dashboard.DASHBOARD.read_text("utf-8")
    assert written == make_dashboard.dashboard(), "run `make generate`"


def test_every_page_of_the_documentation_is_in_its_navigation(checkout: Path) -> None:
    listed = (checkout / "mkdocs.yml").read_text("utf-8")
    pages = [str(page.relative_to(checkout / "docs")) for page in (checkout / "docs").rglob("*.md")]
    assert [page for page in pages if f" {page}\n" not in listed] == []
