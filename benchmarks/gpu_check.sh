#!/usr/bin/env bash
# Checks and measures this project on one GPU, within some minutes.
#
#   bash benchmarks/gpu_check.sh [--device cuda:0] [--small] FOLDER
#
# Every part is a process of its own with a limit of its own, and what is
# finished is in FOLDER at any time: gpu_check.md, the tables as they are
# printed; gpu_check.json, the same for programs; gpu_check.log, what went wrong.
# --small takes tiny sizes, which measure nothing: on a CPU it shows that the
# script itself works. Without the weights of the model that comes with the
# package, that model is left out.
set -u

usage() {
    sed -n '2,13s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

device=cuda:0
small=
patience=1
folder=
while [ $# -gt 0 ]; do
    case "$1" in
        --device) [ $# -ge 2 ] || usage; device="$2"; shift ;;
        --small) small=yes patience=10 ;; # A busy machine's time says nothing.
        -*) usage ;;
        *) [ -z "$folder" ] || usage; folder="$1" ;;
    esac
    shift
done
[ -n "$folder" ] || usage
mkdir -p "$folder" || exit
folder="$(cd "$folder" && pwd)"
cd "$(dirname "$0")/.." || exit
report="$folder/gpu_check.md"
log="$folder/gpu_check.log"
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
failed=0

# part TITLE LIMIT_S SCRIPT [OPTION]...: runs a benchmark, and notes how it ended.
part() {
    local title="$1" limit_s="$(($2 * patience))" script="$3"
    local start_s="$SECONDS" status
    shift 3
    set -- "$script" --device "$device" "$@"
    printf '## %s\n\n`%s`\n\n' "$title" "$*" | tee -a "$report"
    printf '\n## %s\n' "$title" >> "$log"
    timeout -k 5 "$limit_s" python3 -u benchmarks/"$@" 2>> "$log" |
        tee -a "$report"
    status="${PIPESTATUS[0]}"
    if [ "$status" -ne 0 ]; then
        printf '\nThe end of the log:\n\n'
        tail -n 8 "$log" | sed 's/^/    /'
    fi | tee -a "$report"
    printf '\nExit status %s after %s s of at most %s s.\n\n' \
        "$status" "$((SECONDS - start_s))" "$limit_s" | tee -a "$report"
    python3 benchmarks/tables_as_json.py "$report" "$folder/gpu_check.json"
    [ "$status" -eq 0 ] || failed=1
}

# What travels to a machine that has a limit for it, this project's folder.
size_mib="$(du -sm --exclude=.git . | cut -f1)"
printf '# GPU check\n\n%s, on %s: %s MiB of files.\n\n' \
    "$(date -u '+%Y-%m-%d %H:%M UTC')" "$device" "$size_mib" | tee "$report"
: > "$log"

# Random weights of WavLM-Large's configuration, and the model of the package.
sources=(none)
shipped=speechbrain_merit/pretrained/merit-base
[ ! -e "$shipped/model.safetensors" ] || sources+=("$shipped")
if [ -n "$small" ]; then
    tests=(--files test_heads.py)
    agreement=(--corpus mini --duration_s 0.5)
    step=(--corpus mini --duration_s 0.5 --repetitions 1 --precisions bf16
        --bf16_steps 3)
    inference=(--corpus mini --durations_s 3 --chunk_s 2 --overlap_s 0.5
        --batch_sizes 1 2 --batch_duration_s 1)
    moe=(--experts 2 --num_frames 6 --num_layers 2 --input_size 8
        --hidden_size 16 --output_size 4 --repetitions 1)
else
    tests=()
    agreement=(--duration_s 4)
    step=(--precisions fp32 bf16 --repetitions 8 --bf16_steps 500)
    inference=(--precisions fp32 bf16 --durations_s 3600 --batch_sizes 1 32)
    moe=(--precision bf16 --experts 3 8 16 --num_frames 600 2400)
fi

part "Unit tests of the lobes" 75 lobes_on_device.py "${tests[@]}"
part "A CPU against the device" 45 device_agreement.py \
    --sources "${sources[@]}" "${agreement[@]}"
part "A training step" 150 training_step.py "${step[@]}"
part "Inference" 75 inference.py --sources "${sources[@]}" "${inference[@]}"
part "The mixture of experts" 60 moe_layer.py "${moe[@]}"
exit "$failed"
