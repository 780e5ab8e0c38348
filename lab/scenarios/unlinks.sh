#!/bin/bash
# title: bulk URBs that are discarded at random moments end on another machine as they end on the device's own
# machines: uml
# clock: virtual
# timeout: 300
. "${0%/*}/../lib/lab.sh"

# LAB_COUNT=10000 takes some minutes.
count=${LAB_COUNT:-1000}
seed=${LAB_SEED:-1}

# unlinks BUSPATH MICROSECONDS: what comes of it is in $outcomes, without how often.
unlinks() {
    local said
    dmesg --clear
    said=$(lab-tool unlinks "$1" "$(bulk_endpoint "$1" in)" "$(bulk_endpoint "$1" out)" "$count" "$2" "$seed")
    echo "$said"
    no_complaints
    # vhci_hcd tells of every unlink, and when its numbers reach 65535.
    expect_equal 'what the kernel says' '' \
        "$(dmesg | grep -vE 'usbtest|vhci_hcd: (unlink->seqnum|the urb|urb->status)|seqnum max$' || true)"
    outcomes=$(awk 'NF == 5 { print $1, $2, $3, $4 }' <<<"$said")
}

step "on A itself: seed $seed"
gadget_source_sink test 1
host_start A exporter
host_start B importer
usb=$(device_path test)
unlinks "$usb" 200
local_outcomes=$outcomes

step 'on B, through p2pusb, 0.2 ms away'
net_delay 200us
pair A B
on A p2pusb share "$usb"
attach B A test
unlinks "$attached" 300
# A discard may meet, on its way, the completion of a URB that is done. So it may with any host controller that takes time;
# dummy_hcd takes none.
crossed=$'in discarded -2 full\nout discarded -2 full'
expect_equal 'what can become of a URB' "$(sort -u <<<"$local_outcomes"$'\n'"$crossed")" "$(sort -u <<<"$outcomes")"

step 'B gives it back'
detach B test
