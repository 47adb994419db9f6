# shellcheck shell=bash
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What the scripts share: stages with their seconds, root, and Pythons that really run. Sourced, never run.

: "${HOME:=$(getent passwd "$(id -u)" | cut -d: -f6)}"
export HOME
# The oldest controller, and what the newest supported core runs on; newest first.
# shellcheck disable=SC2034
CONTROLLER_PYTHONS=(3.14 3.13 3.12 3.11)
LOGS=.cache/log

fail() {
  printf '%s: %s\n' "script/$(basename "$0")" "$*" >&2
  exit 1
}

as_root() {
  if [[ $(id -u) -eq 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo --preserve-env=HOME,MARKETPLACE_LAB_HOME,DOCKER_HOST,DEBIAN_FRONTEND "$@"
  else
    fail "this step needs root, and there is no sudo: run it as root."
  fi
}

# stage NAME COMMAND...: runs it quietly and prints its seconds; what it said is shown only if it fails.
stage() {
  local name=$1 log began=$SECONDS
  shift
  mkdir -p "$LOGS"
  log=${name,,}
  log=$LOGS/${log//[^a-z0-9]/-}.log
  printf '  %-44s' "$name"
  if "$@" >"$log" 2>&1 </dev/null; then
    printf '%4d s\n' "$((SECONDS - began))"
  else
    printf 'failed after %d s\n' "$((SECONDS - began))"
    tail -n 30 "$log" >&2
    fail "'$name' failed; all of it is in $log"
  fi
}

# pythons VERSION...: one line "VERSION PATH" for each of these versions that really runs. A launcher on PATH may
# name a Python that is not there, and a self-built one may lack libraries; so each is asked.
pythons() {
  local version candidate found
  for version in "$@"; do
    for candidate in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python "/usr/bin/python$version" \
      "/usr/local/bin/python$version" "$HOME/.local/bin/python$version" python3; do
      found=$("$candidate" -c "
import ctypes, ensurepip, sqlite3, ssl, sys, venv
print(getattr(sys, '_base_executable', sys.executable) if '%d.%d' % sys.version_info[:2] == '$version' else '')
" 2>/dev/null) || continue
      if [[ -n $found ]]; then
        printf '%s %s\n' "$version" "$found"
        break
      fi
    done
  done
}

# wanted REQUIREMENTS: what an environment has to hold, as one word.
wanted() { cat requirements/controller.txt "$1" | sha256sum | cut -d' ' -f1; }

# current FOLDER REQUIREMENTS
current() {
  [[ -f $1/.installed && $(<"$1/.installed") == "$(wanted "$2")" ]] && "$1/bin/ansible" --version >/dev/null 2>&1
}

# Has script/bootstrap come to its end here, with these requirements?
bootstrapped() {
  [[ -x .venv/bin/ansible && -f .cache/bootstrapped && $(<.cache/bootstrapped) == "$(wanted requirements/development.txt)" ]]
}
