# The program of the kind `own.slow`: it and a process of its own, which leaves its group, each write a file in small
# steps. While either of them lives it holds a lock outside the cache; whoever finds that lock held notes it.
set -eu
name=$(sed -n 's/.*"name": "\([a-z]*\)".*/\1/p' params.json)
steps=$(sed -n 's/.*"steps": \([0-9]*\).*/\1/p' params.json)
watch=$(dirname "$0")/../../../watch
exec 9>>"$watch/$name.lock"
if ! flock --nonblock 9; then
    echo "$name: $$ began while $(cat "$watch/$name.pid") was at work" >>"$watch/faults"
    exit 9
fi
echo $$ >"$watch/$name.pid"
setsid sh -c '
    for step in $(seq "$2"); do
        echo "$1, part $step" >>part
        sleep 0.03
    done
' part "$name" "$steps" &
part=$!
echo "progress 1/2"
for input in inputs/*; do
    if [ -e "$input" ]; then cat "$input" >>outputs/written.bin; fi
done
for step in $(seq "$steps"); do
    echo "$name, step $step" >>outputs/written.bin
    sleep 0.03
done
wait "$part"
cat part >>outputs/written.bin
