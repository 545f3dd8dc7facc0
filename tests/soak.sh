#!/usr/bin/env bash
# What `make soak` runs: `part FILE COMMAND…` runs one part and leaves its summary in FILE when it has passed, and
# `table FOLDER PART…` prints what all parts came to.
set -euo pipefail
what=$1
shift
case $what in
part)
    file=$1
    shift
    mkdir -p "$(dirname "$file")"
    echo "soak: $(basename "$file") begins; its output is in $file.log"
    start=$SECONDS
    "$@" -- --nocapture --test-threads=1 >"$file.log" 2>&1 || { tail -n 40 "$file.log"; exit 1; }
    { grep -oE '(soak: .*|test result: ok\. [1-9][0-9]* passed)' "$file.log" | sed -E 's/^(soak|test result): //'
      echo "$((SECONDS - start)) s in all"; } >"$file.new"
    mv "$file.new" "$file"
    ;;
table)
    folder=$1
    shift
    failed=0
    echo "| part | result |"
    echo "|---|---|"
    for part in "$@"; do
        if [ -e "$folder/$part" ]; then
            sed "s/^/| $part | /; s/\$/ |/" "$folder/$part"
        else
            echo "| $part | did not pass: $folder/$part.log |"
            failed=1
        fi
    done
    exit "$failed"
    ;;
esac
