# One image for webservers, daemon, code locations, runs, metrics and migration.
#
#   docker build --build-arg VERSION=0.1.0 --build-arg REVISION=$(git rev-parse HEAD) \
#     --tag registry.example.com/data-platform:0.1.0 .
#
# What runs in it is decided by the command: see docs/deployment.md. It runs as user 10001 on a
# read-only file system; only /tmp and /var/lib/data-platform are written to.
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv /build/tools && python -m venv --without-pip /opt/data-platform/.venv
# Packages first: they change more seldom than the code, and their layer is kept until then.
COPY requirements-build.lock requirements-image.lock ./
RUN /build/tools/bin/python -m pip install --require-hashes --only-binary :all: -r requirements-build.lock
RUN /build/tools/bin/python -m pip --python /opt/data-platform/.venv/bin/python install \
    --require-hashes --only-binary :all: -r requirements-image.lock
COPY pyproject.toml README.md LICENSE ./
COPY data_platform data_platform
RUN /build/tools/bin/python -m pip wheel --no-deps --no-index --no-build-isolation --wheel-dir dist .
RUN /build/tools/bin/python -m pip --python /opt/data-platform/.venv/bin/python install --no-deps --no-index dist/*.whl

FROM python:${PYTHON_VERSION}-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="data-platform" \
      org.opencontainers.image.description="An asset-centric data platform on Dagster" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN python -m pip uninstall --yes --root-user-action=ignore setuptools wheel pip \
    && groupadd --gid 10001 data-platform \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin data-platform \
    && install -d -o 10001 -g 10001 /var/lib/data-platform
COPY --from=builder /opt/data-platform /opt/data-platform
RUN mkdir -p /opt/data-platform/home
ENV PATH=/opt/data-platform/.venv/bin:/usr/local/bin:/usr/bin:/bin \
    DAGSTER_HOME=/opt/data-platform/home \
    DATA_PLATFORM_HOME=/opt/data-platform \
    DATA_PLATFORM_DATA_DIR=/var/lib/data-platform \
    DATA_PLATFORM_LOG_FORMAT=json \
    PYTHONUNBUFFERED=1
WORKDIR /opt/data-platform
USER 10001:10001
EXPOSE 3000 4000 8791
CMD ["data-platform", "webserver", "--host", "0.0.0.0", "--port", "3000", "--workspace", "/opt/data-platform/home/workspace.yaml"]
# Of the webserver; Kubernetes asks by its own probes, and other commands are told --health-cmd.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:3000/server_info', timeout=4)"]
