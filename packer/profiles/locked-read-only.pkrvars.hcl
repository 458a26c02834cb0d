# A verified root and no way in: no SSH, no console, no login, no telemetry.
profile = "locked-read-only"
roles = [
  "base", "agent", "companions", "read-only", "locked-read-only",
  "cleanup", "manifest", "verity", "boot", "conformance", "seal",
]
companions = ["merod", "traefik"]
