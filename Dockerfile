# syntax=docker/dockerfile:1
# Built in one stage, run in another that holds the binaries and nothing else to break into.
#
# The bases are tags, so that a build has the security fixes of its day. To get the same bytes again, name digests:
# --build-arg BUILD_BASE=rust@sha256:... --build-arg RUN_BASE=gcr.io/distroless/cc-debian12@sha256:...
ARG BUILD_BASE=rust:1.95-slim-bookworm
ARG RUN_BASE=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILD_BASE} AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --package keel --package hyperopt --bins \
    && install -D -t /out/bin target/release/keel target/release/hyperopt \
    && install -d -o 10001 -g 10001 -m 700 /out/keel

FROM ${RUN_BASE}
COPY --from=build /out/bin/ /usr/local/bin/
# The one place that is written to, and where relative paths start: mount a volume here, owned by uid 10001.
COPY --from=build --chown=10001:10001 /out/keel /keel
USER 10001:10001
WORKDIR /keel
VOLUME /keel
ENTRYPOINT ["/usr/local/bin/keel"]
# Trading needs a configuration and a word: docs/live.md, "In a container". Its health check is there too.
CMD ["demo", "--out", "/keel/demo-output"]
