# The same image serves on one machine or many:
#   docker build -t dinamis-flux .
#   docker run -p 8000:8000 --shm-size 640m -v flux:/data dinamis-flux
#   docker run --rm -v flux:/data -v /srv/imagery:/imagery:ro dinamis-flux bank /imagery

FROM node:22-slim AS page
WORKDIR /src/server/viewer
COPY server/viewer/package.json server/viewer/package-lock.json server/viewer/.npmrc ./
RUN npm ci
COPY server/viewer ./
RUN npm run build

FROM python:3.12-slim AS program
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/flux \
    && /opt/flux/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY auth auth
COPY mosaics mosaics
COPY server server
COPY --from=page /src/server/viewer/dist server/viewer/dist
RUN /opt/flux/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/flux/bin/pip uninstall --yes hatchling editables pip

FROM python:3.12-slim
LABEL org.opencontainers.image.title="dinamis-flux" \
      org.opencontainers.image.description="Streams banked satellite imagery as WMTS and XYZ tiles, by rights" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="The dinamis-flux developers"
# GDAL in rasterio's wheels links to libexpat
RUN apt-get update \
    && apt-get install -y --no-install-recommends libexpat1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin flux \
    && install --directory --owner=flux --group=flux --mode=750 /data
COPY --from=program /opt/flux /opt/flux
ENV PATH=/opt/flux/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    FLUX_HOME=/data
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=10s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('FLUX_HTTP__PORT', '8000') + '/health/ready', timeout=9)"]
ENTRYPOINT ["dinamis-flux"]
CMD ["serve", "--host", "0.0.0.0"]
