#!/bin/sh
# Resolve the locks anew: exact versions with hashes for every supported Python and platform, no package host in them.
set -eu
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
lock="$uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate"
$lock requirements/bootstrap.in -o requirements/bootstrap.txt "$@"
# every extra is resolved together, so that what setup installs (dev) agrees with what any extra adds later
$lock --all-extras pyproject.toml -o requirements/all.txt "$@"
$lock --extra dev -c requirements/all.txt pyproject.toml -o requirements/dev.txt "$@"
$lock --no-deps -c requirements/all.txt requirements/server.in -o requirements/server.txt "$@"
