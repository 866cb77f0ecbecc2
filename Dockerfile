# The service for production, without the embedded database. docs/operations.md and compose.yaml show how to run it.
ARG BASE=docker.io/library/python:3.13-slim-bookworm

FROM ${BASE} AS build
COPY . /source
RUN python3 -m venv /opt/authservice \
    && /opt/authservice/bin/pip install --no-cache-dir --disable-pip-version-check '/source[proof-of-work]'

FROM ${BASE}
COPY --from=build /opt/authservice /opt/authservice
ENV PATH=/opt/authservice/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    FLASK_ENV=production \
    HOST=0.0.0.0 \
    PORT=3000
# This user owns nothing in the image, and the service writes only to /tmp.
USER 10001:10001
WORKDIR /tmp
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python3", "-I", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=4)"]
ENTRYPOINT ["authservice"]
CMD ["serve"]
