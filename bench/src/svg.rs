//! Bar charts, as SVG written by hand.

use std::fmt::Write as _;

const WIDTH: f64 = 900.0;
const CHART_HEIGHT: f64 = 220.0;
const MARGIN: f64 = 60.0;
const TITLE: f64 = 40.0;
const LEGEND: f64 = 24.0;
/// Colours that stay apart for the colour-blind (Okabe and Ito).
const COLOURS: [&str; 5] = ["#999999", "#56b4e9", "#0072b2", "#e69f00", "#009e73"];

/// Groups of bars: in each group one for each series.
#[derive(Debug)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) series: Vec<String>,
    pub(crate) groups: Vec<(String, Vec<Option<f64>>)>,
    /// Most values are far below the greatest.
    pub(crate) logarithmic: bool,
}

impl Chart {
    fn height(&self) -> f64 {
        TITLE + LEGEND + CHART_HEIGHT + 40.0
    }

    fn draw(&self, svg: &mut String, top: f64) {
        let values = self.groups.iter().flat_map(|(_, values)| values).flatten();
        let most = values.copied().fold(0.0, f64::max).max(1e-9);
        let scale = |value: f64| match self.logarithmic {
            // Four decades.
            true => ((value / most).log10() / 4.0 + 1.0).max(0.005),
            false => value / most,
        };
        let logarithmic = if self.logarithmic { ", logarithmic" } else { "" };
        text(svg, WIDTH / 2.0, top + 24.0, "middle", 15, &format!("{}{logarithmic}", self.title));
        for (index, name) in self.series.iter().enumerate() {
            let x = MARGIN + index as f64 * 190.0;
            rectangle(svg, x, top + TITLE, 12.0, 12.0, COLOURS[index % COLOURS.len()]);
            text(svg, x + 18.0, top + TITLE + 11.0, "start", 12, name);
        }
        let bottom = top + TITLE + LEGEND + CHART_HEIGHT;
        let group_width = (WIDTH - 2.0 * MARGIN) / self.groups.len().max(1) as f64;
        let bar = (group_width * 0.8 / self.series.len().max(1) as f64).min(48.0);
        for (at, (name, values)) in self.groups.iter().enumerate() {
            let left = MARGIN + (at as f64 + 0.5) * group_width - bar * values.len() as f64 / 2.0;
            for (index, value) in values.iter().enumerate() {
                let Some(value) = *value else { continue };
                let height = scale(value) * (CHART_HEIGHT - 16.0);
                let x = left + index as f64 * bar;
                rectangle(svg, x, bottom - height, bar - 2.0, height, COLOURS[index % COLOURS.len()]);
                let label = if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") };
                text(svg, x + bar / 2.0 - 1.0, bottom - height - 4.0, "middle", 10, &label);
            }
            text(svg, MARGIN + (at as f64 + 0.5) * group_width, bottom + 16.0, "middle", 11, name);
        }
        let _ = writeln!(
            svg,
            r##"<line x1="{MARGIN}" y1="{bottom}" x2="{}" y2="{bottom}" stroke="#333333"/>"##,
            WIDTH - MARGIN
        );
    }
}

// Writing to a string can't fail.

fn rectangle(svg: &mut String, x: f64, y: f64, width: f64, height: f64, colour: &str) {
    let _ = writeln!(svg, r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{colour}"/>"#);
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, size: u32, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" font-size="{size}">{text}</text>"#);
}

/// All charts, one below the other.
pub(crate) fn draw(charts: &[Chart], caption: &str) -> String {
    let height: f64 = charts.iter().map(Chart::height).sum::<f64>() + 40.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         fill=\"#222222\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    let mut top = 0.0;
    for chart in charts {
        chart.draw(&mut svg, top);
        top += chart.height();
    }
    text(&mut svg, WIDTH / 2.0, height - 16.0, "middle", 10, caption);
    svg.push_str("</svg>\n");
    svg
}
