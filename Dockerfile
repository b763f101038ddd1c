# CPU (the default):
#   docker build -t joulemark .
#   docker run --rm -v joulemark-data:/data joulemark key create --name ada --role admin   # the first key; shown once
#   docker run --rm -p 127.0.0.1:8080:8080 -v ./models:/models:ro -v joulemark-data:/data joulemark
# What a container listens on others can reach, so it asks for keys; `docker exec … joulemark key create` makes more.
# CUDA, by deploy/build-cuda.sh, whose arguments these are (needs the NVIDIA container toolkit to run: --gpus all):
#   docker build -t joulemark:cuda --build-arg CUDA="80 90" .
# It needs no image with CUDA: the toolkit is made of NVIDIA's Python packages, and the libraries are laid in the image. With
# BUILD_IMAGE=nvidia/cuda:VERSION-devel-… it takes that toolkit, up to 13.2, and RUNTIME_IMAGE has to be the same VERSION's.
# RAPL's counters are hidden from containers: to meter a bare-metal CPU add
#   -v /sys/devices/virtual/powercap:/powercap:ro -e JOULEMARK_RAPL_ROOT=/powercap --user root
ARG RUST_IMAGE=rust:1.94-bookworm
ARG BUILD_IMAGE=${RUST_IMAGE}
ARG RUNTIME_IMAGE=debian:bookworm-slim

FROM ${RUST_IMAGE} AS toolchain

FROM ${BUILD_IMAGE} AS build
# Nothing for the CPU alone; without a GPU in sight while building, the compute capability has to be told.
ARG CUDA=
ENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo PATH=/usr/local/cargo/bin:$PATH
# A CUDA image brings no Rust; in the Rust image these copy what is there already.
COPY --from=toolchain /usr/local/rustup /usr/local/rustup
COPY --from=toolchain /usr/local/cargo /usr/local/cargo
# The release is pinned by the image, and its security updates are wanted.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential ca-certificates pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build

# The dependencies, the inference engine above all, in a layer of their own: it is built again only when the manifests
# change. Each member has a line, since one COPY puts all its files into one folder. The stubs stand for the sources,
# which cargo wants to see.
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock ./
COPY crates/analysis/Cargo.toml crates/analysis/
COPY crates/charts/Cargo.toml crates/charts/
COPY crates/experiment/Cargo.toml crates/experiment/
COPY crates/files/Cargo.toml crates/files/
COPY crates/flops/Cargo.toml crates/flops/
COPY crates/keeper/Cargo.toml crates/keeper/
COPY crates/measurement/Cargo.toml crates/measurement/
COPY crates/meter/Cargo.toml crates/meter/
COPY crates/openai/Cargo.toml crates/openai/
COPY crates/power-control/Cargo.toml crates/power-control/
COPY crates/process-discovery/Cargo.toml crates/process-discovery/
COPY crates/store/Cargo.toml crates/store/
COPY crates/testkit/Cargo.toml crates/testkit/
COPY crates/worker/Cargo.toml crates/worker/
COPY engines/mistral/Cargo.toml engines/mistral/
COPY deploy/build-cuda.sh deploy/cuda-toolkit.sh deploy/cuda-toolkit.requirements deploy/setup-build.sh deploy/
COPY tests/mock_nvml/Cargo.toml tests/mock_nvml/
# Every member is built, those of the tests as well: fewer would select other features, and what is shipped would not be
# what was tested.
# hadolint ignore=SC2086
RUN for member in . crates/* tests/mock_nvml; do mkdir -p "$member/src" && : > "$member/src/lib.rs"; done \
    && mkdir -p engines/mistral/src \
    && echo 'fn main() {}' > src/main.rs \
    && cp src/main.rs engines/mistral/src/main.rs \
    && cp src/main.rs build.rs \
    && cp src/main.rs crates/store/build.rs \
    && cargo build --release --locked \
    && if [ -n "$CUDA" ]; then deploy/build-cuda.sh $CUDA; fi

# What only tests use stays a stub: .dockerignore leaves it out.
COPY migrations migrations
COPY crates crates
COPY engines engines
COPY build.rs ./
COPY src src
COPY templates templates
# The image has no repository to ask: --build-arg JOULEMARK_COMMIT=$(git rev-parse HEAD) has results name the commit.
ARG JOULEMARK_COMMIT=
# Copied files keep their old times, by which cargo would take the stubs' build for theirs. Both folders are there without
# CUDA as well, since the image copies them.
# hadolint ignore=SC2086
RUN touch build.rs src/main.rs src/lib.rs crates/*/src/lib.rs crates/store/build.rs engines/mistral/src/main.rs \
    && cargo build --release --locked \
    && mkdir -p target/for-gpus target/lib/joulemark \
    && if [ -n "$CUDA" ]; then deploy/build-cuda.sh $CUDA && mv target/release/joulemark-mistral-sm* target/for-gpus/; fi

FROM ${RUNTIME_IMAGE}
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data joulemark \
    && mkdir /data /models \
    && chown joulemark /data
COPY --from=build /build/target/release/joulemark /usr/local/bin/
# Where the service looks for it: in ../libexec/joulemark from its own folder.
COPY --from=build /build/target/release/joulemark-mistral /usr/local/libexec/joulemark/
COPY --from=build /build/target/for-gpus/ /usr/local/libexec/joulemark/
COPY --from=build /build/target/lib/joulemark/ /usr/local/lib/joulemark/
COPY LICENSE LICENSE-APACHE LICENSE-MIT /usr/share/doc/joulemark/
# By number, so that an engine can tell that it is not root.
USER 10001
WORKDIR /data
VOLUME /data
# The container's own loopback could not be reached from outside; publish the port on the host's loopback instead.
# Of the driver, the engine needs libcuda and the meter libnvidia-ml.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    JOULEMARK_LISTEN=0.0.0.0:8080 \
    JOULEMARK_AUTH=keys \
    JOULEMARK_DATABASE_URL=sqlite:///data/joulemark.db \
    JOULEMARK_MODELS_DIR=/models \
    JOULEMARK_PROMPTS_DIR=/prompts
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
    CMD ["curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:8080/healthz"]
ENTRYPOINT ["joulemark"]
CMD ["serve"]
