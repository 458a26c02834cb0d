#!/usr/bin/env bash
# Writes attestation-policy-{profile}.json for each profile, of a release or from files of measurements. Usage: generate-attestation-policy.sh [VERSION [published-mrtds.json… [-out=DIR]]]
set -euo pipefail
usage() { echo "[ERROR] usage: generate-attestation-policy.sh [VERSION [published-mrtds.json… [-out=DIR]]]" >&2; exit 2; }
full() { case $1 in /*) echo "$1" ;; *) echo "$PWD/$1" ;; esac; }
if [ $# -le 1 ]; then
  [[ ${1:-} != -* ]] || usage
  cd "$(dirname "$0")/.."
  MERO_KMS_VERSION="${1:-${MERO_KMS_VERSION:-}}" exec go tool mage kms:policy
fi
files="" out=()
for argument in "${@:2}"; do
  case $argument in
    -out=*) out=("-out=$(full "${argument#-out=}")") ;;
    -* | *,*) usage ;;
    *) files="$files${files:+,}$(full "$argument")" ;;
  esac
done
[ -n "$files" ] || usage
version=$1
cd "$(dirname "$0")/.."
exec go tool mage policy:generate "$version" "-measurements=$files" ${out[@]+"${out[@]}"}
