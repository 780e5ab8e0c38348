# Watching what the kernels do with a device: their complaints, and each command of a disk.
# shellcheck shell=bash disable=SC2154 # $disk is set by disk.sh

# What the kernel of a guest says about a device that is not well.
COMPLAINTS='USB disconnect|reset (low|full|high|Super)|device offline|I/O error|rejecting I/O|DID_|timing out|timed out'

# no_complaints: whether the kernel has said nothing of the kind since dmesg --clear.
no_complaints() {
    expect_equal 'what the kernel says' '' "$(dmesg | grep -E "$COMPLAINTS" || true)"
}

WATCHERS=()
# Commands that were seen before both buses were watched.
declare -A COMMANDS_BEFORE=([a]=0 [b]=0)

# watch_commands A-BUSPATH B-BUSPATH: from now on logs what the buses of a disk carry, where it is plugged in and where
# it is attached. The disk, $disk, is asked for nothing but what the scenario does.
watch_commands() {
    # udev has it look for a change of medium now and then.
    echo 0 >"/sys/block/${disk##*/}/events_poll_msecs"
    disk_idle
    # Both at once: what the disk is asked for while only one of them is watched would be missed by the other.
    watch_bus "${1%%-*}" /dev/shm/usbmon-a
    watch_bus "${2%%-*}" /dev/shm/usbmon-b
    wait_for 5 "A's bus is watched" watches "${WATCHERS[-2]}" "${1%%-*}"
    wait_for 5 "B's bus is watched" watches "${WATCHERS[-1]}" "${2%%-*}"
    # What was on its way to A when B's watcher came is done now. To stop looking for a change of medium takes one more look,
    # some time later.
    disk_idle
    COMMANDS_BEFORE=([a]=0 [b]=0)
    COMMANDS_BEFORE=([a]=$(commands a) [b]=$(commands b))
}

# watch_bus BUS FILE logs the URBs of a bus.
watch_bus() {
    cat "/sys/kernel/debug/usb/usbmon/${1}t" >"$2" &
    WATCHERS+=($!)
}

# watches PROCESS BUS; for wait_for.
watches() {
    test "/proc/$1/fd/3" -ef "/sys/kernel/debug/usb/usbmon/${2}t"
}

# A disk has one command at a time: when this one is answered, all before it are.
disk_idle() {
    dd if="$disk" of=/dev/null bs=4k count=1 iflag=direct status=none
}

# commands a|b: how many commands there were since both were watched: Bulk-Only command blocks that were submitted.
commands() {
    local all
    all=$(grep -cE ' S Bo:[0-9:]+ -115 31 = 55534243 ' "/dev/shm/usbmon-$1" || true)
    echo $((all - COMMANDS_BEFORE[$1]))
}

as_many_commands() {
    [[ $(commands a) == $(commands b) ]]
}

# expect_commands_once LEAST: the device was given each command of B's kernel once, and there were at least so many.
expect_commands_once() {
    disk_idle
    wait_for 5 'the device was given what the kernel wanted of it, once' as_many_commands
    echo "   commands of B's kernel: $(commands b), as many at A's device"
    expect "there were at least $1" test "$(commands b)" -ge "$1"
    kill "${WATCHERS[@]}"
}
