#!/usr/bin/env bash
# The software bill of materials of a release: what is there after `pip install tiny-agents`, at the versions of
# constraints.txt, as CycloneDX JSON. `sbom.sh TOOLS WHEEL FILE`; TOOLS is the environment that has cyclonedx-py.
set -euo pipefail
tools=$(realpath "$1") wheel=$(realpath "$2") file=$(realpath -m "$3")
cd "$(dirname "$0")/../.."
installed=$(mktemp -d)
trap 'rm -rf "$installed"' EXIT
"${PYTHON:-python3}" -m venv --without-pip "$installed"
"$tools/bin/python" -m pip --python "$installed/bin/python" install --quiet --disable-pip-version-check \
  --constraint constraints.txt "$wheel"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) "$tools/bin/cyclonedx-py" environment --pyproject pyproject.toml \
  --mc-type library --output-reproducible --output-format JSON --output-file "$file" "$installed/bin/python"
"$tools/bin/python" - "$file" << 'CHECK'
import json, sys
found = {each["name"]: each["version"] for each in json.load(open(sys.argv[1]))["components"]}
missing = {"anyio", "httpx2", "mcp", "msgspec", "prompt_toolkit", "rich"} - {name.lower().replace("-", "_") for name in found}
sys.exit(f"not in the bill of materials: {missing}" if missing else print(f"{sys.argv[1]}: {len(found)} components"))
CHECK
