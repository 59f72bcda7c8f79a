# docker build -t mmseg-unsup .
# docker run --rm -v "$PWD:/work" mmseg-unsup segment FOLDER --method picie --out PIXELS
# for a GPU: docker run --gpus all --shm-size 8g; smaller, without CUDA: --build-arg PIP_EXTRA_INDEX_URL=ADDRESS, of an
# index that has builds of torch for CPUs
FROM python:3.12-slim-bookworm

ARG PIP_EXTRA_INDEX_URL=

# what OpenCV loads, in the versions of the base image
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

RUN pip install --no-cache-dir "torch>=2.4"

COPY . /src
RUN pip install --no-cache-dir "/src[onedl,onnx,safetensors]" && rm -rf /src

RUN useradd --create-home --uid 1000 user
USER 1000
WORKDIR /work
ENTRYPOINT ["mmseg-unsup"]
CMD ["--help"]
