"""Values planted wherever patient data may stand, and the search for places where it may not."""

from __future__ import annotations

import re

MARK = "Zqx"
SSN, DOB, PHONE, ZIP, DIED = "514-73-9931", "1917-08-29", "619-283-8642", "90847-3361", "2019-03-17"

SENTINEL = re.compile(
    "|".join(
        re.escape(form)
        for value in (MARK, SSN, DOB, PHONE, ZIP, DIED)
        for form in {value, value.upper(), value.lower(), re.sub(r"\W", "", value)}
    )
)


def assert_clean(text: str, where: str) -> None:
    """No sentinel stands in ``text``, in any of its forms."""
    found = SENTINEL.search(text)
    assert found is None, f"{where}: …{text[max(0, found.start() - 80) : found.end() + 20]}…"
