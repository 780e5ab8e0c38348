//! The small programs that the lab's scenarios use inside the guest.

mod control_latency;
mod disk;
mod keys;
mod lying_device;
mod pattern;
mod ports;
mod raw_gadget;
mod samples;
mod serial;
mod supervise;
mod tcp;
mod terminal;
mod transfer;
mod unlinks;
mod usbfs;
mod usbip_audio;
mod usbtest;

use std::error::Error;
use std::process::ExitCode;

const USAGE: &str = "\
lab-tool random FILE BYTES SEED              writes BYTES of data that follow from SEED
lab-tool write-files FOLDER COUNT            writes COUNT files of growing size, file-1 and so on
lab-tool disk-bench DEVICE BYTES BLOCK SEED  writes and reads back the disk with O_DIRECT, compares, one JSON line
lab-tool disk-read DEVICE BYTES BLOCK        reads the disk with O_DIRECT, one JSON line
lab-tool type-keys HIDG COUNT                types COUNT keys on a keyboard gadget
lab-tool read-keys EVDEV COUNT               reads them from an input device; fails when one is lost or out of order
lab-tool serial-exchange TTY TTY BYTES       sends BYTES both ways between two serial ports at once and compares
lab-tool write-samples FILE COUNT            writes COUNT samples of stereo sound, of which each says which one it is
lab-tool check-samples FILE                  reads raw or wav sound; fails when one is lost, repeated or out of order
lab-tool usbip-audio VHCI PORT SPEED NAME    plugs a sound card, full or high, into a port of a vhci_hcd folder
lab-tool tcp-exchange listen|connect ADDRESS BYTES
                                             sends BYTES both ways at once over a TCP connection and compares
lab-tool usbtest BUSPATH CASE ITERATIONS LENGTH VARY SGLEN
                                             runs a case of the kernel's driver usbtest, prints passed or failed
lab-tool unlinks BUSPATH SOURCE SINK COUNT MICROSECONDS SEED
                                             discards COUNT bulk URBs at random moments and counts what comes of it
lab-tool control-latency BUSPATH SOURCE COUNT
                                             how long COUNT control requests take, alone and beside busy bulk, one JSON line
lab-tool lying-device UDC LIE                plugs in a device that lies about itself, until it is killed
lab-tool fill-ports VHCI                     takes every free port of a vhci_hcd folder until its input ends
lab-tool supervise FOLDER PROGRAM [ARG]...   starts a notify service, writes FOLDER/{pid,ready,exit-status}
";

type Outcome = Result<ExitCode, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lab-tool {}: {error}", arguments.join(" "));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Outcome {
    match arguments {
        ["random", file, bytes, seed] => pattern::write_file(file, bytes.parse()?, seed.parse()?)?,
        ["write-files", folder, count] => pattern::write_files(folder, count.parse()?)?,
        ["disk-bench", device, bytes, block, seed] => {
            disk::write_and_read(device, bytes.parse()?, block.parse()?, seed.parse()?)?;
        }
        ["disk-read", device, bytes, block] => disk::read_only(device, bytes.parse()?, block.parse()?)?,
        ["type-keys", device, count] => keys::write(device, count.parse()?)?,
        ["read-keys", device, count] => keys::read(device, count.parse()?)?,
        ["serial-exchange", one, other, bytes] => serial::exchange(one, other, bytes.parse()?)?,
        ["write-samples", file, count] => samples::write_file(file, count.parse()?)?,
        ["check-samples", file] => samples::check_file(file)?,
        ["usbip-audio", folder, port, speed, name] => usbip_audio::run(folder, port.parse()?, speed, name)?,
        ["tcp-exchange", "listen", address, bytes] => tcp::listen(address, bytes.parse()?)?,
        ["tcp-exchange", "connect", address, bytes] => tcp::connect(address, bytes.parse()?)?,
        ["usbtest", bus_path, case, iterations, length, vary, sglen] => {
            let numbers = [case.parse()?, iterations.parse()?, length.parse()?, vary.parse()?, sglen.parse()?];
            usbtest::run(bus_path, numbers)?;
        }
        ["unlinks", bus_path, source, sink, count, micros, seed] => {
            let endpoints = unlinks::Endpoints { source: endpoint(source)?, sink: endpoint(sink)? };
            unlinks::run(bus_path, &endpoints, count.parse()?, micros.parse()?, seed.parse()?)?;
        }
        ["control-latency", bus_path, source, count] => {
            control_latency::run(bus_path, endpoint(source)?, count.parse()?)?;
        }
        ["lying-device", socket, lie] => lying_device::run(socket, lie)?,
        ["fill-ports", folder] => ports::fill(folder)?,
        ["supervise", folder, program, rest @ ..] => return supervise::run(folder, program, rest),
        _ => {
            eprint!("{USAGE}");
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// An endpoint's address as sysfs writes it: hexadecimal.
fn endpoint(text: &str) -> Result<u8, std::num::ParseIntError> {
    u8::from_str_radix(text, 16)
}
