#!/usr/bin/env bash
# Prints merod's client configuration for a verified release. Usage: generate-merod-kms-phala-attestation-config.sh -profile=P -kmsURL=URL -tag=TAG [-format=toml|json] [-attest]
set -euo pipefail
cd "$(dirname "$0")/.."
exec go tool mage config:attestation "$@"
