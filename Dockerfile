# The service in an image: built in one stage, run in another that holds no compiler, no pip and no test package.
#
# Pin the base by digest where builds have to be repeatable:
#   docker build --build-arg PYTHON_IMAGE=python:3.13-slim@sha256:… .
# A package mirror is this machine's own affair and never enters the image:
#   docker build --secret id=pip,src=$HOME/.config/pip/pip.conf .
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS builder
ARG VENV=/opt/mpi
WORKDIR /build
# Dependencies first: this layer is built again only when they change.
RUN python -m venv --without-pip "${VENV}"
COPY requirements.txt constraints.txt ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python -m pip --python "${VENV}/bin/python" install \
    --no-cache-dir --no-compile --disable-pip-version-check --only-binary :all: --requirement requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python -m pip --python "${VENV}/bin/python" install \
    --no-cache-dir --no-compile --disable-pip-version-check --no-deps .
# Nothing can be compiled in a read-only tree later. Unchecked: a file's time may differ in the next stage.
RUN "${VENV}/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash "${VENV}"

FROM ${PYTHON_IMAGE} AS runtime
ARG VENV=/opt/mpi
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="MPI Service" \
      org.opencontainers.image.description="A real-time Master Patient Index: who is this patient, how sure are we, and why?" \
      org.opencontainers.image.licenses="LicenseRef-Proprietary" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# A number, because Kubernetes can only see from a number that it is not root. Only /data and /tmp are written to.
RUN python -m pip uninstall --yes --quiet --root-user-action ignore pip \
    && install --directory --owner 10001 --group 10001 --mode 0700 /data
COPY --from=builder ${VENV} ${VENV}
ENV PATH="${VENV}/bin:${PATH}" \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/data \
    XDG_DATA_HOME=/data \
    MPI_HOST=0.0.0.0 \
    MPI_PORT=8000
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['MPI_PORT'] + '/health/live', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["mpi"]
CMD ["serve"]
