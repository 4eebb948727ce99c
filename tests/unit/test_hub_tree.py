"""What a list of files from outside may hold."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny_agents.errors import InvalidResponseError
from tiny_agents.inference.hub_tree import blob_oid, content_hash, path_problem, read_listing

SHA1 = "0" * 40


def entry(path: str, size: object = 1, oid: object = SHA1, **more: object) -> dict[str, object]:
    return {"type": "file", "path": path, "size": size, "oid": oid, **more}


@pytest.mark.parametrize("path", ["agent.yaml", "skills/a b/SKILL.md", "é/x.py", ".env.example", "a/b/c/d+e.txt"])
def test_ordinary_paths_are_taken(path: str) -> None:
    assert path_problem(path) is None


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../x", "doesn't stay below"),
        ("a/../../x", "doesn't stay below"),
        ("/etc/passwd", "doesn't stay below"),
        ("a//b", "doesn't stay below"),
        ("./a", "doesn't stay below"),
        ("", "doesn't stay below"),
        ("a\\..\\b", "doesn't stay below"),
        ("C:/x", "isn't a path on every system"),
        ("a:stream", "isn't a path on every system"),
        ("a./b", "isn't a path on every system"),
        ("a /b", "isn't a path on every system"),
        ("nul", "names a device"),
        ("x/COM1.txt", "names a device"),
        ("a\0b", "can't be seen"),
        ("a\nb", "can't be seen"),
        ("a\x1b[2Jb", "can't be seen"),
        ("gpj\u202eexe", "can't be seen"),
        ("\ud800", "can't be seen"),
        (".git/hooks/post-checkout", "belongs to git"),
        ("x/.GIT/config", "belongs to git"),
        ("a" * 121, "is too long"),
        ("/".join("abcdefghijkl" * 8 for _ in range(3)), "is too long"),
        ("/".join("a" * 13), "lies too deep"),
    ],
)
def test_hostile_paths_are_refused_with_the_reason(path: str, words: str) -> None:
    problem = path_problem(path)
    assert problem is not None
    assert words in problem
    with pytest.raises(InvalidResponseError, match="the agent 'x' has a file with the path") as caught:
        read_listing([entry(f"u/a/{path}")], "u/a", what="the agent 'x'")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


@given(st.text(alphabet="./\\:ab\0é ", max_size=12))
def test_no_path_that_is_taken_leaves_its_folder(path: str) -> None:
    if path_problem(path) is None:
        assert not path.startswith("/")
        assert ".." not in path.split("/")
        assert not set(path) & set('\\:*?"<>|\0')


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
)
ENTRY = st.fixed_dictionaries(
    {"path": st.sampled_from(["u/a/x", "u/a/../x", "u/a/x/y", "u/a"]) | ANYTHING},
    optional={"type": ANYTHING, "size": ANYTHING, "oid": st.just(SHA1) | ANYTHING, "lfs": ANYTHING},
)


@given(st.lists(ENTRY | ANYTHING, max_size=5))
def test_whatever_a_hub_lists_is_a_list_or_one_kind_of_error(entries: list[object]) -> None:
    try:
        listing = read_listing(entries, "u/a", what="it")
    except InvalidResponseError:
        return
    assert all(path_problem(file.path) is None for file in listing.files)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([entry("u/b/agent.yaml")], "isn't in the folder"),
        ([entry("u/ab")], "isn't in the folder"),
        (["text"], "an entry without a path"),
        ([{"type": "file", "path": 1}], "an entry without a path"),
        ([entry("u/a/x", size=-1)], "how large x is"),
        ([entry("u/a/x", size="1")], "how large x is"),
        ([entry("u/a/x", size=True)], "how large x is"),
        ([entry("u/a/x", oid="../../x")], "what the checksum of x is"),
        ([entry("u/a/x", lfs={"oid": SHA1, "size": 1})], "what the checksum of x is"),
        ([entry("u/a/x", size=20_000_001)], "x has 20,000,001 bytes; at most 20,000,000 are fetched"),
        ([entry("u/a/x", size=1, lfs={"oid": "0" * 64, "size": 10**12})], "x has 1,000,000,000,000 bytes"),
        ([entry(f"u/a/{n}", size=19_000_000) for n in range(3)], "has 57,000,000 bytes in all"),
        ([entry(f"u/a/{n}") for n in range(501)], "has more than 500 files"),
        ([entry("u/a/README"), entry("u/a/Readme")], "the same file on some systems"),
        ([entry("u/a/é"), entry("u/a/e\u0301")], "the same file on some systems"),
        ([entry("u/a/x"), entry("u/a/X/y")], "as if that were a folder"),
    ],
)
def test_a_list_that_can_not_be_fetched_safely_is_refused_whole(entries: list[object], words: str) -> None:
    with pytest.raises(InvalidResponseError) as caught:
        read_listing(entries, "u/a", what="it")
    assert words in str(caught.value)


def test_a_list_knows_its_size_and_one_checksum_for_all_of_it() -> None:
    entries = [
        entry("u/a/b", size=2),
        {"type": "directory", "path": "u/a/c"},
        entry("u/a/a", lfs={"oid": "1" * 64, "size": 3}),
    ]
    listing = read_listing(entries, "u/a", what="it")

    assert [file.path for file in listing.files] == ["a", "b"]
    assert [file.is_large for file in listing.files] == [True, False]
    assert listing.size == 5
    assert listing.digest == read_listing(reversed(entries), "u/a", what="it").digest
    assert listing.digest != read_listing([*entries, entry("u/a/d")], "u/a", what="it").digest
    assert read_listing([entry("x")], "", what="it").files[0].path == "x"


def test_checksums_are_gits_and_plain() -> None:
    assert blob_oid(b"hello\n", large=False) == "ce013625030ba8dba906f756967f9e9ca394464a"
    assert blob_oid(b"hello\n", large=True) == hashlib.sha256(b"hello\n").hexdigest()
    assert (
        content_hash({"a": "1", "b": "2"}) == content_hash({"b": "2", "a": "1"}) != content_hash({"a": "2", "b": "1"})
    )
