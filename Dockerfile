# Cloister as an image: one binary, no shell, no package manager, user 65532.
#
#   docker build -t cloister .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges \
#       -v cloister-state:/var/lib/cloister \
#       -v "$PWD/cloister.yaml:/etc/cloister/cloister.yaml:ro" -v "$PWD/policies:/etc/cloister/policies:ro" \
#       -p 8443:8443 cloister
#
# Nothing but /var/lib/cloister is written. Configuration and policies are mounted, never baked in; `cloister.yaml` should
# bind its listeners to 0.0.0.0 and keep keys and the log below /var/lib/cloister. For a scraping Prometheus bind `admin`
# to 0.0.0.0:9901, too, and publish that port to it alone: the health check below asks it on loopback.

FROM rust:1.95-bookworm AS build
# The version does not matter, and Debian removes old ones from its mirrors.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin cloister \
 && install -D target/release/cloister /out/cloister \
 && install -d -m 0700 /out/state

# glibc, libgcc and the CA bundle (without one the proxy does not start), and nothing to run but what is copied in.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="Cloister" \
      org.opencontainers.image.description="A security gateway for multi-tenant SaaS" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/cloister /usr/local/bin/cloister
COPY --from=build --chown=65532:65532 /out/state /var/lib/cloister
COPY LICENSE /usr/share/doc/cloister/LICENSE
ENV CLOISTER_CONFIG=/etc/cloister/cloister.yaml \
    CLOISTER_POLICIES=/etc/cloister/policies
USER 65532:65532
WORKDIR /var/lib/cloister
VOLUME /var/lib/cloister
EXPOSE 8080 8443 9901
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/cloister", "probe", "http://127.0.0.1:9901/readyz"]
ENTRYPOINT ["/usr/local/bin/cloister"]
CMD ["run"]
