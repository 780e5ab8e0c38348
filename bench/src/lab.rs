//! The lab's part: what its scenarios `measure-cpu` and `measure` have printed.

use crate::{svg::Chart, table::Table};

/// A row of the lab's tables.
#[derive(Debug, PartialEq)]
struct Row {
    way: String,
    round_trip: String,
    write: f64,
    read: f64,
}

/// The rows in what the scenarios have printed, and what they say in words.
fn parse(output: &str) -> (Vec<Row>, Vec<String>) {
    let (mut rows, mut words) = (Vec::new(), Vec::new());
    for line in output.lines() {
        let cells: Vec<&str> = line.split_whitespace().collect();
        if let [way @ ("local" | "usbip" | "p2pusb"), round_trip, write, read] = cells[..]
            && let (Ok(write), Ok(read)) = (write.parse(), read.parse())
        {
            rows.push(Row { way: way.to_owned(), round_trip: round_trip.to_owned(), write, read });
        } else if line.starts_with("from the call of Attach") || line.starts_with("memory of an idle daemon") {
            words.push(line.trim().to_owned());
        }
    }
    (rows, words)
}

/// A table and a chart of what the scenarios have printed; `None` where they have printed no figures.
pub(crate) fn report(output: &str) -> Option<(Table, Chart)> {
    let (rows, words) = parse(output);
    if rows.is_empty() {
        return None;
    }
    let mut note = "One disk in User Mode Linux, 1 MiB at a time with O_DIRECT: local, through the kernel's own usbip, \
                    through p2pusb. At 0ms the clock is real and all share one simulated CPU; elsewhere it is virtual and \
                    counts waiting only. In MB/s."
        .to_owned();
    for line in words {
        note.push_str("\n\n");
        note.push_str(&line);
    }
    let mut table = Table::new("In the lab", &note, &["way", "round trip", "write", "read"]);
    for Row { way, round_trip, write, read } in &rows {
        table.rows.push(vec![way.clone(), round_trip.clone(), format!("{write:.1}"), format!("{read:.1}")]);
    }
    let mut round_trips: Vec<&str> = Vec::new();
    for row in rows.iter().filter(|row| row.way != "local") {
        if !round_trips.contains(&row.round_trip.as_str()) {
            round_trips.push(&row.round_trip);
        }
    }
    let read = |way: &str, round_trip: &str| {
        rows.iter().find(|row| row.way == way && (way == "local" || row.round_trip == round_trip)).map(|row| row.read)
    };
    let group = |round_trip: &str| {
        let values = ["local", "usbip", "p2pusb"].map(|way| read(way, round_trip)).to_vec();
        (format!("read at {round_trip}"), values)
    };
    let chart = Chart {
        title: "Disk in the lab, MB/s".to_owned(),
        series: ["local", "kernel usbip", "p2pusb"].map(str::to_owned).to_vec(),
        groups: round_trips.iter().map(|round_trip| group(round_trip)).collect(),
        logarithmic: true,
    };
    Some((table, chart))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "   usbip 20ms: {\"write_mb_s\":1.8}

way      round trip   write MB/s    read MB/s
local             -         90.1         94.0
usbip          20ms          1.8          1.9
p2pusb         20ms         36.5         40.0

from the call of Attach to the bound driver at 20ms: 0.41 s
";

    #[test]
    fn the_tables_of_the_scenarios_are_read() {
        let (rows, words) = parse(OUTPUT);
        let facts: Vec<_> = rows.iter().map(|row| (row.way.as_str(), row.round_trip.as_str(), row.read)).collect();
        assert_eq!(facts, [("local", "-", 94.0), ("usbip", "20ms", 1.9), ("p2pusb", "20ms", 40.0)]);
        assert_eq!(words.len(), 1);
        let (table, chart) = report(OUTPUT).unwrap();
        assert_eq!(table.rows.len(), 3);
        assert_eq!(chart.groups, [("read at 20ms".to_owned(), vec![Some(94.0), Some(1.9), Some(40.0)])]);
        assert!(report("nothing").is_none());
    }
}
