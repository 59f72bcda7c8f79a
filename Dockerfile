# docker build -t mmseg-unsup .
# docker run --rm -v "$PWD:/work" mmseg-unsup segment FOLDER --method picie --out PIXELS
# for a GPU: --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu126, and docker run --gpus all --shm-size 8g
FROM python:3.12-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

# what OpenCV loads, in the versions of the base image
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

RUN pip install --no-cache-dir "torch>=2.4" --index-url "$TORCH_INDEX"

COPY . /src
RUN pip install --no-cache-dir "/src[onedl,onnx,safetensors]" && rm -rf /src

RUN useradd --create-home --uid 1000 user
USER 1000
WORKDIR /work
ENTRYPOINT ["mmseg-unsup"]
CMD ["--help"]
