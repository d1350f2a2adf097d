# Two images from one build: `rendezvous` (the default) and `agent`.
#
#     docker build -t warren-rendezvous .
#     docker build -t warren-agent --target agent .
#
# Built natively for the platform it is asked for. It needs no feature of the builder that an old engine lacks, and nothing
# from the network but the two base images and the crates of Cargo.lock.

FROM rust:1.95-slim-bookworm AS build
# `dev` builds in a quarter of the time what runs several times slower
ARG PROFILE=release
ENV CARGO_INCREMENTAL=0 CARGO_TERM_COLOR=never
WORKDIR /src

# First the dependencies alone, for the sources change more often: every member as an empty crate.
COPY Cargo.toml Cargo.lock ./
COPY proto/Cargo.toml proto/
COPY coordinator/Cargo.toml coordinator/
COPY agent/Cargo.toml agent/
COPY rendezvous/Cargo.toml rendezvous/
COPY sim/Cargo.toml sim/
COPY lab/Cargo.toml lab/
COPY xtask/Cargo.toml xtask/
RUN set -eu; \
    for crate in proto coordinator agent rendezvous sim lab xtask; do \
        mkdir -p $crate/src $crate/benches; \
        touch $crate/src/lib.rs; \
        echo 'fn main() {}' > $crate/src/main.rs; \
        sed -n '/^\[\[bench\]\]/,/^$/s/^name = "\(.*\)"/\1/p' $crate/Cargo.toml | \
            while read -r bench; do echo 'fn main() {}' > $crate/benches/$bench.rs; done; \
    done; \
    echo 'fn main() {}' | tee proto/build.rs > rendezvous/build.rs; \
    cargo build --locked --profile $PROFILE -p warren-agent -p warren-rendezvous; \
    cargo clean --locked --profile $PROFILE -p warren-proto -p warren-coordinator -p warren-agent -p warren-rendezvous

COPY . .
RUN set -eu; \
    cargo build --locked --profile $PROFILE -p warren-agent -p warren-rendezvous --bins; \
    built=target/$PROFILE; if [ $PROFILE = dev ]; then built=target/debug; fi; \
    mkdir -p /out/bin /out/agents /out/data; \
    chmod 0700 /out/data; \
    cp $built/warren $built/warren-rendezvous /out/bin/; \
    strip --strip-debug /out/bin/*; \
    cp /out/bin/warren /out/agents/warren-linux-$(uname -m)

FROM debian:bookworm-slim AS agent
COPY --from=build /out/bin/warren /usr/local/bin/
# It makes a network device: run it with NET_ADMIN, /dev/net/tun and the host's network (compose.agent.yaml).
VOLUME /var/lib/warren
ENTRYPOINT ["warren"]
CMD ["daemon"]

FROM debian:bookworm-slim AS rendezvous
COPY --from=build /out/bin/warren-rendezvous /usr/local/bin/
# what the server hands to devices at /dl/, of its own version
COPY --from=build /out/agents /usr/share/warren/agents
# a new volume takes its owner and mode from here
COPY --from=build --chown=65532:65532 /out/data /var/lib/warren-rendezvous
USER 65532:65532
VOLUME /var/lib/warren-rendezvous
EXPOSE 443/tcp 443/udp 3478/udp 3479/udp 3480/udp
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["warren-rendezvous", "healthcheck"]
ENTRYPOINT ["warren-rendezvous"]
CMD ["run"]
