"""Where a link may lead: never off the hub."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.console.reader import go, own_path
from tests.console.html import is_own


@pytest.mark.parametrize("path", ["/", "/console/arrivals?day=2026-11-21#row-1", "/console/notifications?q=سارة"])
def test_a_path_on_the_hub_is_taken(path: str) -> None:
    assert own_path(path, "/home") == path


@given(
    st.text() | st.sampled_from(["//x", "/\\x", "https://x", "//[", "/\t/x", "javascript:x", "/\u2028/x"]) | st.none()
)
def test_whatever_is_wanted_the_way_leads_to_the_hub(wanted: str | None) -> None:
    path = own_path(wanted, "/home")
    assert is_own(path)
    location = go(path).headers["location"]
    assert is_own(location)
    assert location.isascii()
    assert location.isprintable()
