#!/usr/bin/env bash
# Prints the compose hash of each profile of a release, or normalizes and hashes a compose file. Usage: compute-compose-hash.sh [VERSION | FILE [-env=FILE] [-profile=P]]
set -euo pipefail
usage() { echo "[ERROR] usage: compute-compose-hash.sh [VERSION | FILE [-env=FILE] [-profile=P]]" >&2; exit 2; }
full() { case $1 in /*) echo "$1" ;; *) echo "$PWD/$1" ;; esac; }
version='^[0-9]+\.[0-9]+\.[0-9]+(-rc\.[0-9]+)?$'
if [ $# -eq 0 ] || [[ $1 =~ $version ]]; then
  [ $# -le 1 ] || usage
  cd "$(dirname "$0")/.."
  MERO_KMS_VERSION="${1:-${MERO_KMS_VERSION:-}}" exec go tool mage kms:composeHash
fi
[[ $1 != -* ]] || usage
arguments=("-file=$(full "$1")")
for flag in "${@:2}"; do
  case $flag in
    -env=*) arguments+=("-env=$(full "${flag#-env=}")") ;;
    -profile=*) arguments+=("$flag") ;;
    *) usage ;;
  esac
done
cd "$(dirname "$0")/.."
exec go tool mage kms:composeHash "${arguments[@]}"
