#!/bin/sh
# Writes constraints.txt anew: one version of every package, for all supported Pythons at once.
#
# uv only resolves here and is kept out of the environment: nothing else needs it. Pins of the
# existing file are kept where they still fit, so that a new dependency does not upgrade all others;
# --upgrade renews them all.
set -eu

cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check uv
cp constraints.txt "$work/pins.txt"
"$work/venv/bin/uv" pip compile --quiet --universal --python-version 3.11 \
    --fork-strategy fewest --no-emit-index-url --no-header --no-annotate \
    --extra dev pyproject.toml --output-file "$work/pins.txt" "$@"
{
    cat <<'END'
# Every package that is installed here, at the one version that is tested on Python 3.11, 3.12 and
# 3.13. It names no registry: each machine uses the one it is set up with (docs/adr/0002).
# Written by: make constraints
END
    cat "$work/pins.txt"
} >"$work/constraints.txt"
cp "$work/constraints.txt" constraints.txt
