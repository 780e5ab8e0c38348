# What the machines have in common on this side: their options, the job that they hand to the guest, its status.
# shellcheck shell=bash disable=SC2034

# Where built kernels are kept.
lab_cache() {
    echo "${P2PUSB_LAB_CACHE:-${XDG_CACHE_HOME:-/var/cache}/p2pusb-lab}"
}

# Reads the command line of a machine: job_options MACHINE ARGUMENT...
job_options() {
    job_machine=$1
    shift
    job_check=no job_clock=real job_init=script job_mem=1024 job_timeout=300 job_cpu='' job_out='' job_disk='' job_input=no
    job_env=() job_devices=() job_kernel=() job_command=() job_status=0
    while [[ ${1:-} == --* ]]; do
        case $1 in
        --check) job_check=yes && shift && continue ;;
        --shell) job_input=yes && shift && continue ;;
        esac
        if (($# < 2)); then
            echo "$job_machine: $1 needs a value" >&2
            exit 2
        fi
        case $1 in
        --clock) job_clock=$2 ;;
        --init) job_init=$2 ;;
        --mem) job_mem=$2 ;;
        --disk) job_disk=$2 ;;
        --timeout) job_timeout=$2 ;;
        --cpu) job_cpu=$2 ;;
        --env) job_env+=("$2") ;;
        --device) job_devices+=("$2") ;;
        --kernel) job_kernel+=("$2") ;;
        --out) job_out=$2 ;;
        *)
            echo "$job_machine: unknown option $1" >&2
            exit 2
            ;;
        esac
        shift 2
    done
    if [[ $job_check == no ]] && (($# == 0)); then
        echo "usage: $job_machine [OPTION]... PROGRAM [ARGUMENT]..." >&2
        exit 2
    fi
    job_command=("$@")
}

# Writes the folder that the guest reads its job from and leaves the program's exit status in: job_write MACHINES
job_write() {
    local machines=$1 name
    if [[ -n $job_out ]]; then
        mkdir -p "$job_out"
        job_out=$(realpath "$job_out")
    else
        job_out=$(mktemp -d)
        job_scratch=$job_out
        trap 'rm -rf "$job_scratch"' EXIT
    fi
    rm -f "$job_out/exit-status" "$job_out/monitor"
    export LAB_MACHINE=$job_machine LAB_CLOCK=$job_clock LAB_INIT=$job_init
    {
        for name in LAB_MACHINE LAB_CLOCK LAB_INIT "${job_env[@]}"; do
            if [[ -n ${!name+set} ]]; then printf 'export %s=%s\n' "$name" "$(job_quote "${!name}")"; fi
        done
        printf 'lab_machines=%s\n' "$(job_quote "$machines")"
        printf 'lab_folder=%s\n' "$(job_quote "$PWD")"
        printf 'lab_command() {'
        for name in "${job_command[@]}"; do printf ' %s' "$(job_quote "$name")"; done
        printf '; }\n'
    } >"$job_out/job"
}

# Quotes a word for any POSIX shell.
job_quote() {
    printf "'%s'" "${1//\'/\'\\\'\'}"
}

# Exits with the program's status; without one the guest died or was killed.
job_finish() {
    if [[ -s $job_out/exit-status ]]; then exit "$(<"$job_out/exit-status")"; fi
    echo "$job_machine: the guest ended before its program did (status $job_status)" >&2
    exit $((job_status == 0 ? 125 : job_status))
}
