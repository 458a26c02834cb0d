#!/usr/bin/env bash
# Prints merod's client configuration for a verified release. Usage: generate-merod-kms-phala-attestation-config.sh -profile=P -kmsURL=URL -tag=TAG [-format=toml|json] [-attest]
set -euo pipefail
usage() { echo "[ERROR] usage: generate-merod-kms-phala-attestation-config.sh -profile=P -kmsURL=URL -tag=TAG [-format=toml|json] [-attest]" >&2; exit 2; }
[ $# -ge 1 ] || usage
for flag in "$@"; do [[ $flag == -* ]] || usage; done
cd "$(dirname "$0")/.."
exec go tool mage config:attestation "$@"
