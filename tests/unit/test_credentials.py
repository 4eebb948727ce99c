"""Where the Hugging Face token is found, and which hosts are Hugging Face's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiny_agents.inference.credentials import find_token, is_hugging_face


@pytest.mark.parametrize(
    ("url", "is_theirs"),
    [
        ("https://huggingface.co/api", True),
        ("https://router.huggingface.co/v1", True),
        ("https://HUGGINGFACE.CO./api", True),
        ("https://abc.endpoints.huggingface.cloud", True),
        ("http://huggingface.co/api", False),
        ("https://huggingface.co.evil.example", False),
        ("https://evilhuggingface.co", False),
        ("https://huggingface.co@evil.example/", False),
        ("https://evil.example/huggingface.co", False),
        ("https://evil.example#huggingface.co", False),
        ("https://x.hf.space", False),
        ("nonsense", False),
    ],
)
def test_only_hugging_faces_own_hosts_count(url: str, is_theirs: bool) -> None:
    assert is_hugging_face(url) is is_theirs


def test_the_hub_that_the_user_names_counts_too() -> None:
    assert is_hugging_face("http://127.0.0.1:8000/api", endpoint="http://127.0.0.1:8000")
    assert not is_hugging_face("http://127.0.0.1:8001/api", endpoint="http://127.0.0.1:8000")


def test_the_token_is_found_where_huggingface_hub_looks(tmp_path: Path) -> None:
    home = {"HF_HOME": str(tmp_path)}
    assert find_token(home) is None
    (tmp_path / "token").write_text("hf_file\n")
    assert find_token(home) == "hf_file"
    assert find_token({**home, "HUGGING_FACE_HUB_TOKEN": "hf_old"}) == "hf_old"
    assert find_token({**home, "HUGGING_FACE_HUB_TOKEN": "hf_old", "HF_TOKEN": " hf_new\n"}) == "hf_new"
    assert find_token({**home, "HF_TOKEN": "  "}) == "hf_file"
    named = tmp_path / "elsewhere"
    named.write_text("hf_named")
    assert find_token({**home, "HF_TOKEN_PATH": str(named)}) == "hf_named"
    cache = tmp_path / "cache"
    (cache / "huggingface").mkdir(parents=True)
    (cache / "huggingface" / "token").write_bytes(b"\xff\xfe broken")
    assert find_token({"XDG_CACHE_HOME": str(cache)}) is None
