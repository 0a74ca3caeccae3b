#!/bin/bash
# bench/scripts/loader.sh: images a second of one core, our loader against torchvision's ImageFolder, same pictures and
# transforms, one run.
#
# Two sets: small faces (250x250, from --faces) and large pictures (1280x960, made here). Rounds are interleaved
# (mcf, mcf with fast_decode, torchvision; again), every reading in a process of its own on the same core. The
# table takes medians.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: bench/scripts/loader.sh [--mcf PROGRAM] [--python PROGRAM] [--faces DIR] [--side 224] [--rounds 5] [--seconds 3]
                       [--core 0] [--out DIR] [--strict]
  --mcf     default build/mcf; --python one that has torchvision, default .venv/bin/python
  --faces   folders of JPEGs, one per person; default $MCF_SHARED/data/faces (MCF_SHARED: ../shared)
  --out     where pictures and readings stay (default: a new folder in the temporary directory)
  --strict  exit 1 where the loader is not 2.5 times torchvision
TEXT
}

here=$(cd "$(dirname "$0")" && pwd)
mcf=$here/../../build/mcf python=$here/../../.venv/bin/python faces=${MCF_SHARED:-$here/../../../shared}/data/faces
side=224 rounds=5 seconds=3 core=0 out= strict=
while (($#)); do
    case $1 in
    --mcf | --python | --faces | --side | --rounds | --seconds | --core | --out)
        (($# > 1)) || { echo "loader.sh: $1 needs a value" >&2; exit 2; }
        declare "${1#--}=$2"
        shift 2
        ;;
    --strict) strict=--strict; shift ;;
    --help) usage; exit 0 ;;
    *) echo "loader.sh: unknown option $1" >&2; usage >&2; exit 2 ;;
    esac
done
[[ -x $mcf ]] || { echo "loader.sh: $mcf is not there; build it or say --mcf PROGRAM" >&2; exit 2; }
"$python" -c 'import torchvision' || { echo "loader.sh: $python has no torchvision; say --python PROGRAM" >&2; exit 2; }
[[ -n $out ]] || out=$(mktemp -d)
mkdir -p "$out"
: >"$out/readings.jsonl"
sets=(large)
[[ -d $faces ]] && sets=(faces large) || echo "loader.sh: no faces at $faces; large pictures only" >&2
[[ -d $out/large ]] || "$python" "$here/loader_torchvision.py" --make "$out/large"

# reading SET WHO COMMAND...: runs it on the chosen core and keeps its JSON as one line.
reading() {
    local set=$1 who=$2
    shift 2
    taskset -c "$core" "$@" >"$out/reading.json"
    "$python" - "$set" "$who" "$out/reading.json" >>"$out/readings.jsonl" <<'PYTHON'
import json, sys
print(json.dumps({"set": sys.argv[1], "who": sys.argv[2], **json.load(open(sys.argv[3]))}))
PYTHON
}

for ((round = 1; round <= rounds; round++)); do
    for set in "${sets[@]}"; do
        [[ $set == faces ]] && path=$faces || path=$out/large
        for fast in false true; do
            [[ $fast == true ]] && who=mcf-fast || who=mcf
            reading "$set" "$who" "$mcf" bench data --json --seconds "$seconds" --set "data.train=[$path]" \
                --set data.workers=1 --set data.fast_decode=$fast --set model.image_size="$side" --batch 32
        done
        reading "$set" torchvision "$python" "$here/loader_torchvision.py" "$path" "$side" "$seconds"
    done
done
"$python" "$here/loader_table.py" "$out/readings.jsonl" $strict
