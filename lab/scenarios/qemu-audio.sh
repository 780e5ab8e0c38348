#!/bin/bash
# title: QEMU's own sound card plays ten seconds for another machine, at no delay and at 20 ms, and not a sample is lost
# machines: qemu
# timeout: 300
. "${0%/*}/../lib/lab.sh"

rate=48000
samples=$((10 * rate))
# QEMU forgets what it has not written when the stream ends, and writes late on a busy machine: silence follows, and its
# buffer holds all of it.
silence=$((3 * rate * 4))
buffer=4194304
product='QEMU USB Audio'
format=(-t raw -f S16_LE -c 2 -r "$rate" --period-time 20000 --buffer-time 400000)

sound_plug() {
    machine_plug "usb-audio,id=sound,audiodev=sound,serial=lab-sound,buffer=$buffer"
    wait_for 5 "A's own kernel sees it" device_path sound
    usb=$(device_path sound)
    wait_for 5 "A's own kernel drives it" has_driver "$usb" snd-usb-audio
}

step 'two machines, a sound card in A'
kernel_module snd_usb_audio
host_start A exporter
host_start B importer
lab-tool write-samples /run/played.raw "$samples"
head -c "$silence" /dev/zero >>/run/played.raw
sound_plug
on A p2pusb share "$usb"
pair A B

for rtt in 0ms 20ms; do
    step "B plays ten seconds at $rtt"
    net_delay "$rtt"
    wait_for 10 "B is offered $product" offered B A "$product"
    on B p2pusb attach "$product"
    sound_ready "$(attached_path B "$product")"
    started=$EPOCHREALTIME
    timeout 120 aplay -q -D "hw:$card" "${format[@]}" /run/played.raw
    # The silence is a part of it; without KVM the guest is slower than its clock.
    echo "   took $(seconds_since "$started") s"
    on B p2pusb detach "$product"
    net_reset
    # The recording is complete when the card is gone.
    machine_unplug sound
    wait_for 5 'it is gone' not device_path sound
    heard=$(lab-tool check-samples "$LAB_OUT/sound.wav" || true)
    echo "   QEMU has heard $heard"
    expect_equal 'what QEMU has heard' "samples 1 to $samples, every one in its place" "$heard"
    if [[ $rtt == 0ms ]]; then sound_plug; fi
done
wait_for 5 'no port of B is in use' vhci_is_empty
