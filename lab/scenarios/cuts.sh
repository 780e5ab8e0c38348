#!/bin/bash
# title: the network is cut at random moments, again and again, while a disk, a keyboard and a serial adapter are in use
# machines: uml
# clock: virtual
# timeout: 400
. "${0%/*}/../lib/lab.sh"

# The moments follow from the seed.
count=${LAB_COUNT:-20}
RANDOM=${LAB_SEED:-1}
# Milliseconds for which the network is there, and is not, at most.
longest_time=2500
longest_cut=3000

# seconds MILLISECONDS, as sleep wants them.
seconds() {
    printf '%d.%03d\n' $(($1 / 1000)) $(($1 % 1000))
}

step 'two machines 20 ms apart; B uses a disk, a keyboard and a serial adapter of A'
three_devices_of_a
load_start disk keyboard serial

for ((number = 1; number <= count; number++)); do
    time=$((RANDOM % longest_time)) cut=$((RANDOM % longest_cut))
    step "cut $number of $count: after $time ms, for $cut ms"
    sleep "$(seconds "$time")"
    net_cut B
    sleep "$(seconds "$cut")"
    net_join B
    load_goes_on
done

step 'all that was under way comes to its end'
load_stop

step 'nobody noticed'
three_devices_are_well
