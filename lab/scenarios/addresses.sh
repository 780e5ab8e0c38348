#!/bin/bash
# title: a machine gets another address, again and again, while it uses another one's devices, and nobody notices
# machines: uml
# clock: virtual
# timeout: 240
. "${0%/*}/../lib/lab.sh"

# How many times B moves.
count=${LAB_COUNT:-3}
# Seconds within which every device must have worked again, for two rounds.
limit=30

step 'two machines 20 ms apart; B uses a disk, a keyboard and a serial adapter of A'
three_devices_of_a
# Where there is no default route, iroh waits five seconds for one before it looks for other paths.
net_gateway A
net_gateway B
load_start disk keyboard serial

for ((time = 1; time <= count; time++)); do
    step "B moves to 10.77.0.$((100 + time))"
    net_readdress B $((100 + time))
    changed=$EPOCHREALTIME
    load_mark
    sleep 2 # looking all the time would take long
    wait_for "$limit" 'all three devices work' load_went_on
    echo "   each has ended the round that was interrupted and another one after $(seconds_since "$changed") s"
    load_goes_on
done

step 'all that was under way comes to its end'
load_stop

step 'nobody noticed'
three_devices_are_well
