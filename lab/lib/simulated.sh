# Devices to share that a program simulates, for what no gadget can be: dummy_hcd has no isochronous transfers. They are
# plugged into one of the kernel's own vhci controllers, which then belongs to the exporters.
# shellcheck shell=bash

VHCI=/sys/devices/platform/vhci_hcd.0

# The controller for them, empty where there is none.
SIMULATED_ON=

# simulated_ports sets the last vhci controller aside. It goes before the hosts are made.
simulated_ports() {
    local controllers=(/sys/devices/platform/vhci_hcd.*)
    ((${#controllers[@]} > 1)) || fail 'a single vhci controller can not be set aside'
    SIMULATED_ON=/sys/devices/platform/vhci_hcd.$((${#controllers[@]} - 1))
}

# simulated_status: the file that lists the ports of that controller.
simulated_status() {
    if [[ -n $SIMULATED_ON ]]; then printf '%s/status.%d\n' "$VHCI" "${SIMULATED_ON##*.}"; fi
}

# audio_plug NAME [full|high]: a sound card with a loudspeaker and a microphone, both stereo, 16 bits, 44.1 kHz. What they
# heard and said is in $(audio_log NAME), a line for each time that one of them was in use.
audio_plug() {
    local name=$1 speed=${2:-full} port
    port=$(awk '$1 == "hs" && $3 == "004" { print $2 + 0; exit }' "$(simulated_status)")
    [[ -n $port ]] || fail "no port is free for $name"
    lab-tool usbip-audio "$VHCI" "$port" "$speed" "$name" >>"$(audio_log "$name")" &
    wait_for 5 "the kernel sees the sound card $name" simulated_path "$name"
}

# audio_log NAME
audio_log() {
    printf '/run/audio-%s\n' "$1"
}

# simulated_path NAME: the bus path at which the machine with a simulated device has it.
simulated_path() {
    local device
    for device in "$SIMULATED_ON"/usb*/*-*; do
        if [[ -e $device/serial && $(<"$device/serial") == "lab-$1" ]]; then
            echo "${device##*/}"
            return
        fi
    done
    return 1
}

# sound_card BUSPATH: the number of the sound card that the kernel has made of a USB device.
sound_card() {
    local folder
    for folder in "/sys/bus/usb/devices/$1/$1:"*/sound/card*; do
        if [[ -e $folder/number ]]; then
            cat "$folder/number"
            return
        fi
    done
    return 1
}

# sound_ready BUSPATH waits for it and leaves its number in $card.
sound_ready() {
    wait_for 10 "the kernel has the sound card at $1" sound_card "$1"
    # shellcheck disable=SC2034 # for the scenario
    card=$(sound_card "$1")
}
