# What differs between the machines.
# shellcheck shell=bash

# machine_monitor COMMAND... gives QEMU's monitor a command (device_add, device_del, sendkey, …) and prints its answer.
machine_monitor() {
    local answer='' character
    [[ $LAB_MACHINE == qemu ]] || fail "machine_monitor: there is no monitor on $LAB_MACHINE"
    stty -F /dev/ttyS1 raw -echo
    exec {monitor}<>/dev/ttyS1
    # The greeting and earlier prompts.
    while read -r -t 0.1 -N 1 -u "$monitor" character; do :; done
    printf '%s\n' "$*" >&"$monitor"
    while [[ $answer != *"(qemu) " ]] && read -r -t 5 -N 1 -u "$monitor" character; do answer+=$character; done
    exec {monitor}>&-
    # QEMU echoes the command while it is edited; what follows the first line break is the answer.
    answer=${answer#*$'\n'}
    printf '%s' "${answer%"(qemu) "}"
}

# kernel_module NAME... loads modules where the kernel has any.
kernel_module() {
    if [[ -d /lib/modules/$(uname -r) ]]; then modprobe --all "$@"; fi
}
