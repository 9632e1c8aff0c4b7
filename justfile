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

# The proofs of docs/performance.md in full, as a release build: 500 cycles, 300 kills, memory over 10,000 cycles (more than an hour).
proof:
    KEEL_WIRE_CYCLES=500 KEEL_KILL_POINTS=300 KEEL_SOAK_CYCLES=10000 KEEL_REQUIRE_STRACE=1 \
        cargo test --release --locked -p keel --test wire

# What Python ccxt sends and understands, for the tests of the venues; tools/goldens/README.md.
goldens *venues:
    "$(tools/ccxt/setup)" tools/goldens/make_goldens.py {{venues}}

# Licences and advisories.
deny:
    cargo deny --locked check
