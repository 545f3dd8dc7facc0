#!/usr/bin/env bash
# What has to be tried on a machine with a GPU, within 12 minutes:
#
#     tests/gpu.sh [DEVICE] >gpu.json
#
# DEVICE is cuda:0 unless it is named; cpu tries the script itself. DDPIPE is the command (target/release/ddpipe), with
# ddpipe-worker beside it. One JSON object is printed: the device, every kind once, seconds of a few steps of the large
# kinds with one and with four jobs, twenty students, what went from stage to stage through memory, whether a second run
# made the same bytes, and peak memory. docs/results.md says what was measured where. What fails is named on stderr and in
# "failed", and makes the exit code 1.
set -uo pipefail
cd "$(dirname "$0")/.."
device=${1:-cuda:0}
ddpipe=${DDPIPE:-target/release/ddpipe}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=()

# part NAME SECONDS COMMAND…: runs a part within its time; its output goes to NAME.log.
part() {
    local name=$1 limit=$2 start=$SECONDS
    shift 2
    if timeout --signal=TERM "$limit" "$@" >"$work/$name.log" 2>&1; then
        echo "gpu: $name took $((SECONDS - start)) s" >&2
    else
        failed+=("$name")
        echo "gpu: $name failed after $((SECONDS - start)) s:" >&2
        tail -n 15 "$work/$name.log" >&2
    fi
}
run() { # run CACHE JOBS MANIFEST NODE…: only these nodes and what they need
    local cache=$1 jobs=$2 manifest=$3
    shift 3
    local select=()
    for node in "$@"; do select+=(--select "$node"); done
    "$ddpipe" run "$manifest" "${select[@]}" --device "$device" --jobs "$jobs" --keep-going --quiet \
        --cache "$work/$cache" --results "$work/results-$cache"
}
export -f run
export ddpipe device work
results() { "$ddpipe" results --cache "$work/$1" --json 2>/dev/null || echo '[]'; }

# The shared inputs of the steps, then the steps alone; four jobs compute four seeds of each.
steps="dm dc mtt idc"
sed -E '/^kind .*"distill\.(dm|dc|mtt|idc)"/a matrix = { seed = [0, 1, 2, 3] }' benches/steps.toml >"$work/four.toml"
part kinds 240 bash -c 'run "$@"' run kinds 1 pipelines/ci.toml
part inputs 90 bash -c 'run "$@"' run inputs 1 benches/steps.toml ten one some few_experts
cp -r "$work/inputs" "$work/one" 2>/dev/null
part one_job 120 bash -c 'run "$@"' run one 1 benches/steps.toml $steps
cp -r "$work/inputs" "$work/four" 2>/dev/null
part four_jobs 150 bash -c 'run "$@"' run four 4 "$work/four.toml" $steps
sed -e '/^\[stages.student\]/,/^$/ s/students = 1/students = 20/' benches/steps.toml >"$work/students.toml"
cp -r "$work/inputs" "$work/students" 2>/dev/null
part students 90 bash -c 'run "$@"' run students 1 "$work/students.toml" student
cp -r "$work/inputs" "$work/again" 2>/dev/null
part again 120 bash -c 'run "$@"' run again 1 benches/steps.toml $steps
part resident 60 env DDPIPE_LOG=info "$ddpipe" run benches/steps.toml --select dm --device "$device" --jobs 1 \
    --cache "$work/resident" --results "$work/results-resident" --verbose

# What both runs made lies under its digests.
blobs() { (cd "$work/$1/blobs-v1" 2>/dev/null && find . -type f | sort); }
same=$([ -n "$(blobs one)" ] && [ "$(blobs one)" = "$(blobs again)" ] && echo true || echo false)
[ "$same" = true ] || failed+=(same_bytes)
misses=$(grep -oE 'misses: [0-9]+' "$work/resident.log" | tail -n 1 | grep -oE '[0-9]+')
texts() { printf '%s\n' "$@" | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/.*/"&"/' | paste -sd,; }
mapfile -t about < <("$ddpipe" doctor 2>/dev/null)
printf '{"about": [%s],\n"kinds": %s,\n"one_job": %s,\n"four_jobs": %s,\n"students": %s,\n' "$(texts "${about[@]}")" \
    "$(results kinds)" "$(results one)" "$(results four)" "$(results students)"
printf '"same_bytes": %s,\n"read_again_between_stages": %s,\n"failed": [%s]}\n' "$same" "${misses:-null}" \
    "$([ ${#failed[@]} -eq 0 ] || texts "${failed[@]}")"
[ ${#failed[@]} -eq 0 ]
