# Sourced by scripts/{demo,test,check}: finds a Python and makes virtual environments.
#
# Guarantees:
# - An environment counts as done only with a stamp, which is written last and removed first:
#   one that was left half-made is made again from nothing.
# - The stamp names the Python, the folder, the digest of pyproject.toml and constraints.txt, and the
#   extras. While they match, nothing is installed.
# - Only the project folder is written to.

set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
cd "$root"

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# is_python CANDIDATE VERSION: it runs (a pyenv shim may not), has that version, and can make venvs.
is_python() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit("%d.%d" % sys.version_info[:2] != sys.argv[1])' \
        "$2" >/dev/null 2>&1
}

# find_python VERSION: prints the first suitable interpreter, or fails.
find_python() {
    local version="$1" candidate
    for candidate in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python \
        /opt/homebrew/bin/"python$version" /usr/local/bin/"python$version" python3 python; do
        if is_python "$candidate" "$version"; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return 0
        fi
    done
    if command -v uv >/dev/null 2>&1; then
        candidate="$(uv python find --no-project "$version" 2>/dev/null || true)"
        if [ -n "$candidate" ] && is_python "$candidate" "$version"; then
            printf '%s\n' "$candidate"
            return 0
        fi
    fi
    return 1
}

# install_hint VERSION: the command that installs that Python on this machine.
install_hint() {
    if command -v pyenv >/dev/null 2>&1; then
        printf 'pyenv install %s\n' "$1"
    elif command -v uv >/dev/null 2>&1; then
        printf 'uv python install %s\n' "$1"
    elif command -v brew >/dev/null 2>&1; then
        printf 'brew install python@%s\n' "$1"
    elif [ -n "$(apt-cache madison "python$1-venv" 2>/dev/null)" ]; then
        printf 'sudo apt-get install python%s python%s-venv\n' "$1" "$1"
    elif command -v dnf >/dev/null 2>&1; then
        printf 'sudo dnf install python%s\n' "$1"
    else
        printf 'python3 -m pip install --user uv && python3 -m uv python install %s\n' "$1"
        printf '  then: PYTHON="$(python3 -m uv python find %s)" %s\n' "$1" "$0"
    fi
}

# require_python: sets `python` to a Python 3.11, the newest that PyBullet has wheels for, or stops.
require_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_python "$PYTHON" 3.11 ||
            fail "PYTHON=$PYTHON is not a Python 3.11 with venv (PyBullet has wheels up to 3.11 only)"
        python="$PYTHON"
    else
        python="$(find_python 3.11)" || fail "no Python 3.11 with venv was found: PyBullet has wheels" \
            "up to 3.11 only. This installs one:
  $(install_hint 3.11)
Or name one: PYTHON=/path/to/python3.11 $0"
    fi
}

# files_digest PYTHON: of what decides which packages are installed.
files_digest() {
    "$1" - <<'PY'
import hashlib
import pathlib

digest = hashlib.sha256()
for name in ("constraints.txt", "pyproject.toml"):
    digest.update(pathlib.Path(name).read_bytes())
print(digest.hexdigest())
PY
}

# make_environment FOLDER PYTHON EXTRA...: makes or updates the environment, so that it holds
# checkrein (editable) with at least these extras at the versions of constraints.txt.
make_environment() {
    local folder="$1" base="$2" stamp="$1/checkrein.stamp" machine files extras have
    shift 2
    machine="$("$base" -c 'import platform, sys; print(sys.version.split()[0], sys.base_prefix, platform.machine())') $root"
    files="$(files_digest "$base")"
    extras="$(printf '%s\n' "$@")"
    if [ -f "$stamp" ] && [ "$(sed -n 1p "$stamp")" = "$machine" ]; then
        have="$(sed 1,2d "$stamp")"
        if [ "$(sed -n 2p "$stamp")" = "$files" ] &&
            ! printf '%s\n' "$extras" | grep -qvxF -e "$have"; then
            return 0
        fi
        # Keep what other scripts asked for: the demo must not take torch away from the tests.
        extras="$(printf '%s\n%s\n' "$extras" "$have" | sort -u | sed '/^$/d')"
        rm -f "$stamp"
    else
        rm -rf "$folder"
    fi
    extras="$(printf '%s\n' "$extras" | sort -u | paste -sd, -)"
    printf 'Setting up %s with %s, extras [%s]; this takes a few minutes the first time.\n' \
        "${folder#"$root"/}" "$("$base" -V)" "$extras" >&2
    [ -x "$folder/bin/python" ] || "$base" -m venv "$folder"
    local install=("$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-input
        --constraint constraints.txt)
    # setuptools first: with it in place, no build environment has to be made, and its version is ours.
    "${install[@]}" setuptools
    "${install[@]}" --no-build-isolation --editable ".[$extras]"
    printf '%s\n%s\n%s\n' "$machine" "$files" "$(printf '%s\n' "$extras" | tr ',' '\n')" >"$stamp.partial"
    mv "$stamp.partial" "$stamp"
}

# One thread a process: numpy's and torch's pools fight over small machines and spoil latencies.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}"
export MKL_NUM_THREADS="${MKL_NUM_THREADS:-1}"
