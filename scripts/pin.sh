#!/usr/bin/env bash
# Renew constraints.txt: the newest versions that satisfy pyproject.toml, from a fresh environment; those of the tools for
# releases; and what tests/servers installs: the packages named in the first line of each requirements file, and those of
# each package.json.
# Run `make check servers browser` afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT

pinned() { # pinned FILE COMMENT REQUIREMENT...
  "${PYTHON:-python3}" -m venv --clear "$new"
  "$new/bin/python" -m pip install --quiet --disable-pip-version-check "${@:3}"
  {
    echo "# $2"
    "$new/bin/python" -m pip list --format=freeze --disable-pip-version-check | grep -Eiv '^(pip|setuptools|wheel|tiny-agents)=='
  } > "$1"
}

pinned constraints.txt "The development environment, pinned: versions only, no addresses. Renew with \`scripts/pin.sh\`." '.[dev]'
pinned scripts/release/constraints.txt "What \`make dist sbom audit\` use, pinned: versions only, no addresses. Renew with \`scripts/pin.sh\`." \
  hatchling build cyclonedx-bom pip-audit pip
for file in tests/servers/requirements/*.txt; do
  wanted=$(sed -n '1s/^# //p' "$file")
  # shellcheck disable=SC2086 # several requirements, separated by spaces
  pinned "$file" "$wanted" $wanted
done
if command -v npm > /dev/null; then
  for folder in tests/servers/node tests/servers/browser; do
    # shellcheck disable=SC2046
    (cd "$folder" && npm install --package-lock-only --omit-lockfile-registry-resolved --save-exact --no-audit --no-fund \
      $(node -p "Object.keys(require('./package.json').dependencies).map((name) => name + '@latest').join(' ')"))
  done
fi
