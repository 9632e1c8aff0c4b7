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

# Licences and advisories.
deny:
    cargo deny check
