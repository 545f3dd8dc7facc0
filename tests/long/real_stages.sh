#!/usr/bin/env bash
# Every kind once (pipelines/ci.toml), on two pilots of this machine of which one is killed while it works, and in one process:
# the same outputs, byte for byte. Takes two minutes on two idle cores; needs `cargo build --workspace` before.
set -euo pipefail
cd "$(dirname "$0")/../.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
ddpipe() { ./target/debug/ddpipe "$@" --cache "$place/$cache" --threads 1 --quiet --results "$place/results-$cache"; }

cache=pilots
begun=$SECONDS
ddpipe run pipelines/ci.toml --on here --pilots 2 &
run=$!
pilots() { pgrep -f -- "--pilot[ =].*$place|$place.*--pilot[ =]" || true; }
until [ "$(pilots | wc -l)" -ge 2 ] && [ "$(ls "$place/pilots/records-v1" 2>/dev/null | wc -l)" -ge 10 ]; do
  kill -0 "$run" 2>/dev/null || { echo "the run ended before a pilot could be killed"; exit 1; }
  sleep 0.2
done
kill -KILL "$(pilots | head -n 1)"
wait "$run"
echo "scenario: real stages on two pilots, one killed: $((SECONDS - begun)) s"

cache=alone
begun=$SECONDS
ddpipe run pipelines/ci.toml --jobs 2
echo "scenario: real stages in one process: $((SECONDS - begun)) s"

python3 - "$place" <<'END'
import json, pathlib, sys

def outputs(cache):
    found = {}
    for path in pathlib.Path(sys.argv[1], cache, "records-v1").glob("*/*.json"):
        record = json.loads(path.read_text())
        found[record["node"]] = (record["key"], {name: made["digest"] for name, made in record["outputs"].items()})
    return found

# These two show how long stages took.
measured = {"costs", "proxies"}
pilots, alone = outputs("pilots"), outputs("alone")
differ = sorted(node for node in pilots.keys() | alone.keys() if node not in measured and pilots.get(node) != alone.get(node))
print(f"scenario: {len(alone)} nodes, {len(differ)} of them with other keys or bytes: {differ}")
sys.exit(bool(differ))
END
