# syntax=docker/dockerfile:1
# Built in one stage, run in another that holds the binaries and nothing else to break into.

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --bin keel --bin hyperopt \
    && install -D -t /out/bin target/release/keel target/release/hyperopt \
    && install -d -o 10001 -g 10001 /out/data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/bin/ /usr/local/bin/
# The one place that is written to: mount a volume here, owned by uid 10001.
COPY --from=build --chown=10001:10001 /out/data /data
USER 10001:10001
WORKDIR /data
VOLUME /data
ENTRYPOINT ["/usr/local/bin/keel"]
CMD ["demo", "--out", "/data/demo-output"]
