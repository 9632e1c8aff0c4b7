# Chores. `just` lists them.

default:
    @just --list

# What CI runs.
ci:
    .ci/run

# Format, then lint as CI does.
lint:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- -D warnings

# All tests.
test:
    cargo test --workspace

# The demo from the sources, anew.
demo:
    cargo run --release -- demo --fresh

# The figures of docs/performance.md.
bench:
    cargo bench -p keel --bench cycle
    cargo bench -p hyperopt --bench spaces

# What Python ccxt sends and understands, for the tests of the venues; tools/goldens/README.md.
goldens *venues:
    test -d target/goldens || python3 -m venv target/goldens
    target/goldens/bin/pip install --quiet --requirement tools/goldens/requirements.txt
    target/goldens/bin/python tools/goldens/make_goldens.py {{venues}}

# Licences and advisories.
deny:
    cargo deny check
