# Chores. `just` lists them.

default:
    @just --list

# What CI runs.
ci:
    .ci/run

# Format, then lint as CI does.
lint:
    cargo fmt --all
    cargo clippy --locked --workspace --all-targets -- -D warnings

# All tests.
test:
    cargo test --locked --workspace

# The demo from the sources, anew.
demo:
    cargo run --release -- demo --fresh

# The figures of docs/performance.md.
bench:
    cargo bench -p keel --bench cycle
    cargo bench -p keel --bench backtest
    cargo bench -p hyperopt --bench spaces

# What Python ccxt sends and understands, for the tests of the venues; tools/goldens/README.md.
goldens *venues:
    "$(tools/ccxt/setup)" tools/goldens/make_goldens.py {{venues}}

# Licences and advisories.
deny:
    cargo deny --locked check
