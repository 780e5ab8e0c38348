#!/bin/bash
# title: whatever the kernel's own usbtest finds right on a device, it finds right through p2pusb
# machines: uml
# clock: virtual
# timeout: 300
. "${0%/*}/../lib/lab.sh"

# Case, iterations, length, vary, sglen, and what it is. The source's packets are whole, so what is read is a multiple of
# 512 bytes. Cases 15, 16, 22 and 23 are isochronous, which dummy_hcd isn't; 25 and 26 want interrupt endpoints, which
# this gadget doesn't have.
cases='
0   1     512   512  1   nothing
1   50    4096  512  1   bulk out
2   50    4096  512  1   bulk in
3   50    4096  100  1   bulk out of many lengths
4   50    4096  512  1   bulk in of many lengths
5   20    4096  512  16  queued bulk out
6   20    4096  512  16  queued bulk in
7   20    4096  512  16  queued bulk out of many lengths
8   20    4096  512  16  queued bulk in of many lengths
9   20    512   512  1   requests of chapter 9
10  50    512   512  8   queued control requests, some of them wrong
11  50    4096  512  1   bulk in, unlinked
12  50    4096  512  1   bulk out, unlinked
13  20    512   512  1   halt and clear halt
14  50    1024  100  1   control out and in of many lengths
15  10    1024  512  8   isochronous out
16  10    1024  512  8   isochronous in
17  20    4096  512  1   bulk out from odd addresses
18  20    4096  512  1   bulk in to odd addresses
19  20    4096  512  1   bulk out from odd addresses, coherent memory
20  20    4096  512  1   bulk in to odd addresses, coherent memory
21  50    1024  100  1   control out and in at odd addresses
22  10    1024  512  8   isochronous out from odd addresses
23  10    1024  512  8   isochronous in to odd addresses
24  20    4096  512  16  queued bulk out, unlinked
25  10    512   512  1   interrupt out
26  10    512   512  1   interrupt in
29  20    512   512  1   toggles cleared between writes'

# These two run only without a pattern in the data.
measurements='
27  10    4096  512  32  much bulk out
28  10    4096  512  32  much bulk in'

# run_cases WHERE BUSPATH CASES fills the column of that name.
declare -A column
run_cases() {
    local case iterations length vary entries
    while read -r case iterations length vary entries _; do
        [[ -n $case ]] || continue
        dmesg --clear
        column[$1:$case]=$(lab-tool usbtest "$2" "$case" "$iterations" "$length" "$vary" "$entries")
        if [[ -n ${LAB_TELL:-} || ${column[$1:$case]} != passed* ]]; then dmesg | grep -i usbtest || true; fi
    done <<<"$3"
}

# both GADGET CASES: on A itself, then on B through p2pusb.
both() {
    local usb
    step "the gadget $1 on A itself"
    usb=$(device_path "$1")
    wait_for 5 "A's own kernel has it" has_driver "$usb" usbtest
    run_cases local "$usb" "$2"
    step 'on B, through p2pusb'
    on A p2pusb share "$usb"
    attach B A "$1"
    wait_for 5 "B's kernel drives it" has_driver "$attached" usbtest
    run_cases p2pusb "$attached" "$2"
    detach B "$1"
    wait_for 5 "A's own kernel has it back" has_driver "$usb" usbtest
    expect_match 'bulk in on A' passed "$(lab-tool usbtest "$usb" 2 10 4096 512 1)"
}

step 'two machines 20 ms apart'
host_start A exporter
host_start B importer
net_delay 20ms
pair A B
echo 1 >/sys/module/usbtest/parameters/pattern
gadget_source_sink counting 1
both counting "$cases"
echo 0 >/sys/module/usbtest/parameters/pattern
gadget_source_sink zeros 0
both zeros "$measurements"

printf '\n%4s  %-48s %-32s %s\n' case 'what it is' local p2pusb
worse=()
while read -r case _ _ _ _ what; do
    [[ -n $case ]] || continue
    here=${column[local:$case]} there=${column[p2pusb:$case]}
    printf '%4s  %-48s %-32s %s\n' "$case" "$what" "${here% (os error*}" "${there% (os error*}"
    if [[ $here == passed* && $there != passed* ]]; then worse+=("$case"); fi
done <<<"$cases$measurements"
expect_equal 'cases that pass on A itself but not through p2pusb' '' "${worse[*]}"
