"""Broken and hostile files: each is read, or refused with one message, and nothing else happens."""

import json

import pytest
from cases import REFUSED, files, fuzz, read_or_refuse
from hypothesis import strategies as st
from readers import READERS


@pytest.mark.parametrize("name", READERS)
def test_the_valid_files_come_first(tmp_path, name):
    """One of them at least is read: else what is broken below would never be got into."""
    reader = READERS[name]
    refused = REFUSED[name]
    seeds = reader.seeds(tmp_path)
    for seed in seeds:
        path = tmp_path / "valid" / reader.name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(seed)
        read_or_refuse(
            name, path.parent, lambda path=path: reader.read(path), reader.allowed, reader.lines
        )
    assert REFUSED[name] - refused < len(seeds)
    REFUSED[name] = refused


@pytest.mark.parametrize("name", READERS)
def test_broken_files(tmp_path, name):
    reader = READERS[name]
    seeds = reader.seeds(tmp_path)
    folder = tmp_path / "fuzzed"
    folder.mkdir()
    path = folder / reader.name

    def test(content):
        path.write_bytes(content)
        read_or_refuse(name, folder, lambda: reader.read(path), reader.allowed, reader.lines)

    fuzz(name, files(seeds), reader.examples, test)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([10**18, -1, 2**63, "../x", "F32", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
OF_JSON = [
    *("manifest", "settings", "index of shards", "voxels (json)", "config.json"),
    *("list of a dataset", "word times (Sphinx)", "table", "page"),
]


@pytest.mark.parametrize("name", OF_JSON)
def test_json_of_another_shape(tmp_path, name):
    """Valid JSON (and YAML) with any value anywhere in a valid one."""
    reader = READERS[name]
    seeds = [s for s in reader.seeds(tmp_path) if s[:1] in b"{[" and len(s) < 10_000]
    seeds = seeds or [
        b'{"models": {"m": {"path": "a"}}, "spectral": {"models": ["m"], "esd": "m"}}'
    ]
    folder = tmp_path / "fuzzed"
    folder.mkdir()
    path = folder / reader.name

    def replaced(value, new, steps):
        if steps and isinstance(value, dict) and value:
            key = list(value)[steps[0] % len(value)]
            return {**value, key: replaced(value[key], new, steps[1:])}
        if steps and isinstance(value, list) and value:
            at = steps[0] % len(value)
            return [*value[:at], replaced(value[at], new, steps[1:]), *value[at + 1 :]]
        return new

    def test(case):
        seed, new, steps = case
        value = replaced(
            json.loads(seed.splitlines()[0] if name == "manifest" else seed), new, steps
        )
        path.write_text(json.dumps(value) + "\n", encoding="utf-8", errors="surrogatepass")
        read_or_refuse(name, folder, lambda: reader.read(path), reader.allowed, reader.lines)

    cases = st.tuples(st.sampled_from(seeds), JSON, st.lists(st.integers(0, 50), max_size=5))
    fuzz(name, cases, 60, test)
