# Disk throughput through p2pusb and through the kernel's own usbip, in the same run. Nothing here passes or fails by
# its figures; the data must be right.
# shellcheck shell=bash disable=SC2154 # $disk and $attached are set by disk.sh and daemon.sh

# How much is transferred, in bytes, and in what steps.
MEASURE_BYTES=${MEASURE_BYTES:-16777216}
MEASURE_BLOCK=${MEASURE_BLOCK:-1048576}
# The rows of the table: way, round trip, MB/s written, MB/s read, all separated by tabs.
MEASURED=()
# Other figures, in words.
MEASURED_MORE=()

# Two hosts without a daemon and a disk in A.
measure_start() {
    host_up A exporter
    host_up B importer
    gadget_disk disk 64M
    measured_usb=$(device_path disk)
    disk_ready "$measured_usb"
}

# measure_disk WAY RTT: the disk in $disk is written, read back and compared.
measure_disk() {
    local line seed=${#MEASURED[@]} bytes=$MEASURE_BYTES
    # A remote disk at a megabyte per second needs no more than this for a steady figure.
    if [[ $1 == usbip && $2 != 0ms ]]; then bytes=$((bytes / 4)); fi
    line=$(lab-tool disk-bench "$disk" "$bytes" "$MEASURE_BLOCK" "$seed")
    echo "   $1 $2: $line"
    [[ $line =~ \"write_mb_s\":([0-9.]+),\"read_mb_s\":([0-9.]+) ]] || fail "no figures in: $line"
    MEASURED+=("$1"$'\t'"$2"$'\t'"${BASH_REMATCH[1]}"$'\t'"${BASH_REMATCH[2]}")
}

measure_local() {
    disk_ready "$measured_usb"
    measure_disk local -
}

# measure_usbip RTT: over the kernel's usbip.
measure_usbip() {
    local path
    kernel_module usbip_host
    if ! pgrep -x usbipd >/dev/null; then on A usbipd --daemon 2>/dev/null; fi
    on A usbip bind --busid "$measured_usb" 2>&1 | grep -v info || true
    wait_for 10 'usbipd answers' on B usbip list --remote "$(host_address A)"
    on B usbip attach --remote "$(host_address A)" --busid "$measured_usb"
    wait_for 20 'usbip has attached the disk' vhci_device
    path=$(vhci_device)
    disk_ready "$path"
    measure_disk usbip "$1"
    on B usbip detach --port 0 >/dev/null 2>&1
    wait_for 10 'the port is free' vhci_is_empty
    on A usbip unbind --busid "$measured_usb" >/dev/null 2>&1
    wait_for 10 "A's own kernel has the disk back" has_driver "$measured_usb" usb-storage
}

# vhci_device: the bus path of the device on a vhci port.
vhci_device() {
    local device
    for device in /sys/devices/platform/vhci_hcd.*/usb*/*-*; do
        if [[ $device =~ /[0-9]+-[0-9]+$ ]]; then
            echo "${device##*/}"
            return
        fi
    done
    return 1
}

# measure_p2pusb RTT: over p2pusb; the first call starts and pairs the daemons.
measure_p2pusb() {
    local started
    if [[ ! -e $LAB_HOSTS/A/pid ]]; then
        daemon_start A
        daemon_start B
        on A p2pusb share "$measured_usb"
        pair A B
        MEASURED_MORE+=("memory of an idle daemon: $(daemon_rss A) KiB in A, $(daemon_rss B) KiB in B")
    fi
    wait_for 10 'B is offered the disk' offered B A "$(gadget_product disk)"
    started=$EPOCHREALTIME
    on B busctl --timeout=30 call "$BUS_NAME" "$(remote_device B A "$(gadget_product disk)")" "$BUS_NAME.RemoteDevice" \
        Attach 'a{sv}' 0 >/dev/null
    MEASURED_MORE+=("from the call of Attach to the bound driver at $1: $(seconds_since "$started") s")
    attached=$(attached_path B "$(gadget_product disk)")
    expect_equal 'the driver' usb-storage "$(driver_of "$attached")"
    disk_ready "$attached"
    measure_disk p2pusb "$1"
    detach B disk
    wait_for 10 "A's own kernel has the disk back" has_driver "$measured_usb" usb-storage
}

measure_table() {
    local row way rtt write read
    printf '\n%-8s %10s %12s %12s\n' way 'round trip' 'write MB/s' 'read MB/s'
    for row in "${MEASURED[@]}"; do
        IFS=$'\t' read -r way rtt write read <<<"$row"
        printf '%-8s %10s %12s %12s\n' "$way" "$rtt" "$write" "$read"
    done
    printf '\n'
    if ((${#MEASURED_MORE[@]} > 0)); then printf '%s\n' "${MEASURED_MORE[@]}"; fi
}
