#!/usr/bin/env bash
# Runs on a real Slurm to which something happens, one after another; a line for each. Takes about ten minutes, and needs Debian's
# slurmctld, slurmd, slurm-client and slurm-wlm-basic-plugins.
set -euo pipefail
cd "$(dirname "$0")/../.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
DDPIPE_LONG=1 cargo test --workspace --test command slurm_long:: -- --nocapture --test-threads=1 >"$log" 2>&1 || status=$?
grep -E '^(test .*|)scenario: |^skipped|FAILED|panicked' "$log" | sed 's/^test .* \.\.\. scenario/scenario/' || true
[ "$status" = 0 ] || { tail -n 40 "$log"; exit "$status"; }
