#!/usr/bin/env bash
# Install MCP servers made by others, each into an environment of its own:  install.sh FOLDER NAME...
# A NAME is one of requirements/NAME.txt, or a folder here with a package.json. What is there already is left alone.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
into=$(cd "$1" && pwd)
shift

python_server() {
  cmp -s "$here/requirements/$1.txt" "$into/$1/installed" && return
  echo "Installing the MCP server '$1' ..."
  rm -rf "${into:?}/$1"
  if command -v uv > /dev/null; then
    uv venv --quiet --python "${PYTHON:-python3}" "$into/$1"
    uv pip install --quiet --python "$into/$1/bin/python" --requirement "$here/requirements/$1.txt"
  else
    "${PYTHON:-python3}" -m venv "$into/$1"
    "$into/$1/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements/$1.txt"
  fi
  cp "$here/requirements/$1.txt" "$into/$1/installed"
}

node_servers() {
  if ! command -v npm > /dev/null; then
    echo "NOT INSTALLED: there is no Node.js on the PATH, so the MCP servers in '$1' are left out" >&2
    return
  fi
  cmp -s "$here/$1/package-lock.json" "$into/$1/installed" && return
  echo "Installing the MCP servers in '$1' ..."
  rm -rf "${into:?}/$1"
  mkdir "$into/$1"
  cp "$here/$1"/package*.json "$into/$1"
  # a browser comes from the system, not from the package
  (cd "$into/$1" && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund --loglevel=error > /dev/null)
  cp "$here/$1/package-lock.json" "$into/$1/installed"
}

running=()
for name in "$@"; do
  if [ -d "$here/$name" ] && [ -f "$here/$name/package.json" ]; then node_servers "$name" & else python_server "$name" & fi
  running+=($!)
done
failed=0
for pid in "${running[@]}"; do wait "$pid" || failed=1; done
[ "$failed" = 0 ] || { echo "Not all MCP servers could be installed; is there a network?" >&2; exit 1; }
