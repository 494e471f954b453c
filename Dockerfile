# One program and the certificate authorities of the world: no shell, no root, nothing to write but a data directory.
# Built for the machine that builds it; `docker buildx build --platform linux/arm64,linux/amd64 .` for both.
FROM rust:1.95-bookworm AS build
WORKDIR /src
# aws-lc-rs is built from C.
RUN apt-get update && apt-get install --yes --no-install-recommends cmake && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cargo build --locked --profile dist && mkdir /data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/dist/sealpost /usr/local/bin/sealpost
# The embedded form alone writes, and only there.
COPY --from=build --chown=65532:65532 /data /data
ENV SEALPOST_DATA=/data SEALPOST_LOG_FORMAT=json
USER 65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/sealpost"]
CMD ["serve"]
