#!/bin/sh
# Makes .venv hold exactly what pyproject.toml and constraints.txt say. Quick when nothing changed.
#
# It needs Python 3.11 or newer with venv; whatever is missing is named with its remedy. Which
# registry the packages come from is this machine's own affair: pip is never told one here.
set -eu

cd "$(dirname "$0")/.."
venv=.venv
stamp=$venv/.installed

fail() {
    echo "mpi: $1" >&2
    exit 1
}

# A venv that was moved, or whose Python was removed, looks complete but cannot run: the stamp
# holds the place it was made in, and its Python is tried.
is_current() {
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$PWD" ] || return 1
    "$venv/bin/python" -c '' 2>/dev/null || return 1
    [ -z "$(find pyproject.toml constraints.txt -newer "$stamp")" ]
}

# Prints how many microseconds a Python takes for a fixed piece of work, and its name.
pace_of() {
    "$1" -c '
import sys, timeit
work = "[len(str(n)) for n in range(5000)]"
print(round(1e6 * min(timeit.repeat(work, number=1, repeat=100))), sys.argv[1])' "$1"
}

# Prints the Python to use: the first that runs, is new enough and complete, unless another is clearly quicker. One that
# was built without optimisation, as pyenv builds unless told otherwise, takes half as long again for every match.
find_python() {
    first='' complete=''
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python /usr/bin/python3}; do
        # A shim may exist for one that is not there.
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        first=${first:-$candidate}
        (check_python "$candidate") 2>/dev/null && complete="$complete $candidate"
    done
    # shellcheck disable=SC2086 # one word for each
    set -- $complete
    [ $# -gt 1 ] || { echo "${1:-$first}"; return; }
    # They take turns, and each one's best counts: a busy machine may halve the pace for a while.
    paces=$(for _ in 1 2 3; do for candidate in "$@"; do pace_of "$candidate"; done; done | sort -n)
    quickest=$(echo "$paces" | head -n 1)
    usual=$(echo "$paces" | awk -v name="$1" '$2 == name { print; exit }')
    if [ $((${quickest%% *} * 100)) -lt $((${usual%% *} * 85)) ]; then echo "${quickest#* }"; else echo "$1"; fi
}

# Asks for the parts of the standard library that distributions package apart or builds leave out.
check_python() {
    version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    "$1" -c 'import ensurepip, venv' 2>/dev/null || fail \
        "Python $version has no venv module; install it with: apt-get install python$version-venv"
    for module in sqlite3 ssl zlib; do
        "$1" -c "import $module" 2>/dev/null || fail \
            "Python $version was built without $module; install a complete one, for instance \
with: apt-get install python3 python3-venv (then: PYTHON=/usr/bin/python3 make install)"
    done
}

make_venv() {
    python=$(find_python)
    # shellcheck disable=SC2016 # the quotes are part of the sentence
    [ -n "$python" ] || fail "Python 3.11 or newer is needed and none was found\
${PYTHON:+ at '$PYTHON'}; install it, for instance with: apt-get install python3 python3-venv"
    check_python "$python"
    echo "Creating $venv with $("$python" --version), $(command -v "$python")"
    "$python" -m venv --clear "$venv" || fail \
        "the environment $PWD/$venv could not be created; the reason stands above"
}

is_current && exit 0

# An old stamp must not survive an install that fails half-way.
was_here=$(cat "$stamp" 2>/dev/null || true)
rm -f "$stamp"
if ! "$venv/bin/python" -c 'import pip' 2>/dev/null || [ "${was_here:-$PWD}" != "$PWD" ]; then
    make_venv
fi
echo "Installing the packages of constraints.txt into $venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --constraint constraints.txt --editable '.[dev]' || fail \
    "the packages could not be installed; pip's reason stands above (is a package registry reachable?)"
echo "$PWD" >"$stamp"
