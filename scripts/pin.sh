#!/usr/bin/env bash
# Renew constraints.txt: the newest versions that satisfy pyproject.toml, from a fresh environment. Run the tests afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
"${PYTHON:-python3}" -m venv "$new"
"$new/bin/python" -m pip install --quiet --disable-pip-version-check '.[dev]'
{
  echo "# The development environment, pinned: versions only, no addresses. Renew with \`scripts/pin.sh\`."
  "$new/bin/python" -m pip list --format=freeze --disable-pip-version-check | grep -Eiv '^(pip|setuptools|wheel|tiny-agents)=='
} > constraints.txt
