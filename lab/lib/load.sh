# Devices in use, all the time and by several programs at once, while a scenario does something to them.
# shellcheck shell=bash disable=SC2154 # what is used is set by the scenario: $disk, $input, $keys, $port, $line

# How much each program does in a round.
LOAD_DISK_BYTES=524288
LOAD_KEYS=20
LOAD_SERIAL_BYTES=8192
LOAD_NET_BYTES=262144

LOADS=()
LOAD_NAMES=()
declare -A LOAD_MARK

# load_start NAME... begins to repeat use_NAME, for each of them, until load_stop.
load_start() {
    local name
    rm -f /run/load-*
    LOAD_NAMES=("$@")
    for name in "$@"; do
        echo 0 >"/run/load-rounds-$name"
        load_repeat "$name" &
        LOADS+=($!)
    done
}

load_repeat() {
    local round
    for ((round = 1; ; round++)); do
        "use_$1" "$round" >"/run/load-$1" 2>&1 || fail "$1, round $round: $(<"/run/load-$1")"
        echo "$round" >"/run/load-rounds-$1"
        if [[ -e /run/load-stop ]]; then break; fi
    done
}

# load_goes_on: whether all still work; what went wrong is said.
load_goes_on() {
    kill -0 "${LOADS[@]}" || fail 'a device could not be used'
}

# load_mark remembers how many rounds each has made so far.
load_mark() {
    local name
    for name in "${LOAD_NAMES[@]}"; do LOAD_MARK[$name]=$(<"/run/load-rounds-$name"); done
}

# load_went_on: whether each has made two rounds since load_mark, so that one was begun since; for wait_for.
load_went_on() {
    local name round
    for name in "${LOAD_NAMES[@]}"; do
        read -r round <"/run/load-rounds-$name" || return
        if ((round < LOAD_MARK[$name] + 2)); then return 1; fi
    done
}

# load_stop lets each end its round, expects that nothing went wrong, and says how many rounds there were.
load_stop() {
    local job name
    touch /run/load-stop
    for job in "${LOADS[@]}"; do wait "$job" || fail 'a device could not be used'; done
    LOADS=()
    for name in "${LOAD_NAMES[@]}"; do echo "   $name: $(<"/run/load-rounds-$name") rounds"; done
}

# The disk $disk: written past the page cache, flushed, read back and compared.
use_disk() {
    lab-tool disk-bench "$disk" "$LOAD_DISK_BYTES" 65536 "$1"
}

# The keyboard whose keys are typed on $keys and read from $input.
use_keyboard() {
    local reader
    lab-tool read-keys "$input" "$LOAD_KEYS" >/run/read-keys &
    reader=$!
    wait_for 5 'the reader listens' grep -q reading /run/read-keys
    lab-tool type-keys "$keys" "$LOAD_KEYS"
    wait "$reader"
}

# The serial line between $line and $port.
use_serial() {
    lab-tool serial-exchange "$line" "$port" "$LOAD_SERIAL_BYTES"
}

# three_devices_of_a: hosts A and B are made, 20 ms apart, and B uses a disk, a keyboard and a serial adapter of A. From
# now on both kernels are watched.
three_devices_of_a() {
    local gadget
    host_start A exporter
    host_start B importer
    net_delay 20ms
    pair A B
    gadget_disk disk 2M
    gadget_keyboard keyboard
    gadget_serial serial
    for gadget in disk keyboard serial; do
        on A p2pusb share --force "$(device_path "$gadget")"
        attach B A "$gadget"
    done
    on B udevadm settle
    disk_ready "$(attached_path B 'Lab disk')"
    input=$(input_device "$(attached_path B 'Lab keyboard')") keys=$(gadget_hid keyboard)
    port=$(serial_port "$(attached_path B 'Lab serial')") line=$(gadget_tty serial)
    attachments=$(attachments B)
    watch_commands "$(device_path disk)" "$(attached_path B 'Lab disk')"
    dmesg --clear
}

# three_devices_are_well: they are attached as they were from the beginning, nobody's kernel has noticed anything, the
# disk has what B's kernel wrote to it, and was given each command once.
three_devices_are_well() {
    local attachment
    expect_equal 'attachments of B' "$attachments" "$(attachments B)"
    for attachment in $attachments; do
        wait_for 10 "$attachment is in order" bus_is attached B "$attachment" Attachment State
    done
    expect_equal 'attachments that ended' '' "$(ended_reasons B)"
    no_complaints
    expect_equal 'the disk, on both sides' "$(checksum "$(gadget_file disk)")" "$(checksum "$disk")"
    expect_commands_once 100
}
