# A trained model on CPUs. The first line builds it, the second enhances a file:
#   docker build -t speechbrain-merit .
#   docker run --rm -v "$PWD:/data" speechbrain-merit process noisy.wav --out enhanced
FROM python:3.11-slim

# Builds of PyTorch without NVIDIA's libraries, which are half of the others.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

WORKDIR /opt/speechbrain-merit
COPY README.md LICENSE pyproject.toml setup.cfg ./
COPY speechbrain_merit speechbrain_merit
RUN pip install --no-cache-dir --index-url "$TORCH_INDEX" \
        "torch>=2.8,<2.12" "torchaudio>=2.8,<2.12" \
    && pip install --no-cache-dir .

# Who runs it writes into the folder that is mounted: --user "$(id -u):$(id -g)".
WORKDIR /data
ENTRYPOINT ["speechbrain-merit"]
CMD ["--help"]
