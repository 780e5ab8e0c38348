# What differs between the machines.
# shellcheck shell=bash disable=SC2034 # these are for the other files

# How many times slower this machine works: QEMU has to get by without KVM. Limits are multiplied by it, and amounts of
# data divided, so that no scenario takes much longer than a minute.
case $LAB_MACHINE in
qemu) LAB_SLOWER=4 ;;
*) LAB_SLOWER=1 ;;
esac

# How long wait_for waits between two looks. On the virtual clock waiting takes no time, and looking does.
case $LAB_CLOCK in
virtual) LAB_LOOK=0.1 ;;
*) LAB_LOOK=0.02 ;;
esac

# kernel_module NAME... loads modules where the kernel has any.
kernel_module() {
    if [[ -d /lib/modules/$(uname -r) ]]; then modprobe --all "$@"; fi
}

# machine_boot: how many times the machine has booted, this time included; for scenarios with "# disk:". Called once.
machine_boot() {
    local file=/lab/boots
    echo $(($(cat "$file" 2>/dev/null || echo 0) + 1)) >"$file"
    sync "$file"
    cat "$file"
}

# machine_reboot clean|hard boots the machine anew, after which the scenario runs again from its beginning. clean: systemd
# stops all units, and what has to be on the disk gets there. hard: as if the power failed and came back; what is not on
# the disk by now is lost.
machine_reboot() {
    grep -q LAB_DISK= /proc/cmdline || fail 'machine_reboot: without a disk the machine forgets that it was rebooted'
    trap - EXIT ERR
    case $1 in
    clean) systemctl --no-block reboot || true ;; # the bus may be gone before the answer is here
    hard) echo b >/proc/sysrq-trigger ;;
    esac
    sleep infinity
}

# machine_monitor COMMAND... gives QEMU's monitor a command (device_add, drive_add, sendkey, …) and prints its answer.
# The monitor is at the other end of the second serial line, and speaks QMP: a line of JSON for each answer, which has
# the question's number.
machine_monitor() {
    local command=$* number=$RANDOM line=
    [[ $LAB_MACHINE == qemu ]] || fail "machine_monitor: there is no monitor on $LAB_MACHINE"
    command=${command//\\/\\\\}
    command=${command//\"/\\\"}
    stty -F /dev/ttyS1 raw -echo
    exec {monitor}<>/dev/ttyS1
    # \xff is no JSON: QEMU forgets what the line may have echoed to it before.
    printf '\xff{"execute": "qmp_capabilities"}\n' >&"$monitor"
    printf '{"execute": "human-monitor-command", "arguments": {"command-line": "%s"}, "id": %d}\n' \
        "$command" "$number" >&"$monitor"
    until [[ $line =~ \"id\":\ ${number}[^0-9] ]]; do
        if ! IFS= read -r -t 30 -u "$monitor" line; then
            fail "QEMU does not answer: $*"
            return 1
        fi
    done
    exec {monitor}>&-
    [[ $line =~ \"return\":\ \"(([^\"\\]|\\.)*)\" ]] || fail "QEMU refuses '$*': $line"
    printf '%b' "${BASH_REMATCH[1]}"
}

# machine_drive NAME FILE: a medium with that file of $LAB_OUT behind it, for a disk that is plugged in later.
machine_drive() {
    expect_match "QEMU's monitor" OK "$(machine_monitor drive_add "0 if=none,id=$1,file=$2,format=raw")"
}

# machine_plug DEVICE,OPTION... plugs one of QEMU's devices (usb-kbd,id=keys) into the USB 3 controller. With
# serial=lab-NAME its bus path is $(device_path NAME).
machine_plug() {
    local answer
    answer=$(machine_monitor device_add "$1,bus=xhci.0")
    [[ -z $answer ]] || fail "QEMU does not plug in $1: $answer"
}

# machine_unplug ID pulls it out.
machine_unplug() {
    local answer
    answer=$(machine_monitor device_del "$1")
    [[ -z $answer ]] || fail "QEMU does not pull out $1: $answer"
}
