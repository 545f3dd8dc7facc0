#!/usr/bin/env bash
# Puts libtorch into the folder that .cargo/config.toml names, once. Usage: setup.sh [--cuda]
#
# An existing LIBTORCH or LIBTORCH_USE_PYTORCH is honoured: then there is nothing to do. Otherwise the wheels of
# requirements.txt (with --cuda also those of requirements-cuda.txt) are downloaded by pip, checked against the hashes
# there, and unpacked. No Python package is installed, and nothing outside the folder changes. Two at once wait for each
# other; one that is killed is done again by the next.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
dest=$root/.libtorch
want=cpu
[ "${1:-}" = "--cuda" ] && want=cuda

if [ -n "${LIBTORCH:-}" ] || [ -n "${LIBTORCH_USE_PYTORCH:-}" ]; then
  echo "setup: libtorch comes from LIBTORCH${LIBTORCH:+=$LIBTORCH}${LIBTORCH_USE_PYTORCH:+_USE_PYTORCH=$LIBTORCH_USE_PYTORCH}; nothing to install"
  exit 0
fi
# Held until this script ends, however it ends.
mkdir -p "$dest"
exec 9>"$dest/.setup-lock"
if command -v flock >/dev/null; then
  flock --nonblock 9 || { echo "setup: waiting for another setup of .libtorch/"; flock 9; }
fi
stamp=$(cat "$here"/requirements*.txt "$0" | cksum | cut -d' ' -f1)
if [ "$(cat "$dest/.stamp-$want" 2>/dev/null)" = "$stamp" ]; then
  echo "setup: libtorch is in place ($want)"
  exit 0
fi
if [ "$(uname -s)-$(uname -m)" != "Linux-x86_64" ]; then
  echo "setup: no pinned libtorch for $(uname -s)-$(uname -m); install libtorch 2.11 and set LIBTORCH to its folder" >&2
  exit 1
fi
command -v python3 >/dev/null || { echo "setup: python3 with pip is needed to download libtorch" >&2; exit 1; }

# pip wants every platform tag that a wheel may carry by name.
platforms="--platform manylinux1_x86_64 --platform manylinux2010_x86_64 --platform manylinux2014_x86_64"
for glibc in 5 12 17 18 24 25 27 28; do platforms="$platforms --platform manylinux_2_${glibc}_x86_64"; done

download() {
  python3 -m pip download --disable-pip-version-check --quiet --no-deps --require-hashes --only-binary=:all: \
    --implementation cp --python-version 3.12 --abi cp312 --abi none \
    $platforms \
    --dest "$dest/wheels" --requirement "$1"
}
echo "setup: downloading libtorch ($want) into .libtorch/"
rm -rf "$dest/wheels" && mkdir -p "$dest/wheels"
download "$here/requirements.txt"
[ "$want" = cuda ] && download "$here/requirements-cuda.txt"

# From here on libtorch is in pieces, until the stamp is written again.
rm -f "$dest"/.stamp-*

# Only what links and loads is unpacked: the libraries, and the headers that torch-sys compiles against.
python3 - "$dest" "$want" <<'PY'
import pathlib, shutil, sys, zipfile
dest, want = pathlib.Path(sys.argv[1]), sys.argv[2]
keep_cpu = {"libtorch.so", "libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libshm.so"}
stage = dest / "stage"
shutil.rmtree(stage, ignore_errors=True)
for wheel in sorted((dest / "wheels").glob("*.whl")):
    with zipfile.ZipFile(wheel) as z:
        for name in z.namelist():
            path = pathlib.PurePosixPath(name)
            if name.endswith("/"):
                continue
            if name.startswith("torch/include/"):
                target = stage / path.relative_to("torch")
            elif ".so" in path.name and path.parts[0] == "torch" and path.parts[1] == "lib" and len(path.parts) == 3:
                if path.name == "libtorch_python.so" or (want == "cpu" and path.name not in keep_cpu):
                    continue
                # The CUDA half stands apart, so that a build never links against it by accident.
                target = stage / ("lib" if path.name in keep_cpu else "cuda") / path.name
            elif ".so" in path.name and path.parts[0] == "nvidia":
                if path.name in {"libcudart.so.13", "libcupti.so.13"}:
                    target = stage / "lib" / path.name
                elif want == "cuda":
                    target = stage / "cuda" / path.name
                else:
                    continue
            elif name == "torch/version.py":
                target = stage / "version.py"
            else:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with z.open(name) as source, open(target, "wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
for part in ("lib", "include", "cuda"):
    shutil.rmtree(dest / part, ignore_errors=True)
    if (stage / part).exists():
        (stage / part).rename(dest / part)
(dest / "build-version").write_text("2.11.0\n")
shutil.rmtree(stage)
PY
rm -rf "$dest/wheels"
echo "$stamp" > "$dest/.stamp-$want"
[ "$want" = cuda ] && echo "$stamp" > "$dest/.stamp-cpu"
echo "setup: libtorch 2.11.0 ($want) is ready, $(du -sh "$dest" | cut -f1)"
