//! The picture of `repy-launch top` in the README: starts a few runs, takes the
//! real table, colours and all, and writes it as SVG.
//!
//! `top_picture FILE` (as root, for the control groups).

use integration::live::{LiveRun, IDLE};
use integration::run::{Launch, User};
use integration::setting::{wide_policy_with, Setting};
use std::fmt::Write;
use std::process::{Command, Stdio};

const BUSY: &str = "print 'started'\nwhile True:\n  pass\n";

const MEMORY: &str =
    "print 'started'\nheld = []\nfor i in range(18000):\n  held.append('x' * 1000 + str(i))\nsleep(60)\n";

const WRITER: &str =
    "print 'started'\nf = open('data', 'w')\ni = 0\nwhile i < 30000:\n  f.write('x' * 1000)\n  i = i + 1\n  \
                      try:\n    removefile('data')\n  except Exception:\n    pass\n";

fn main() {
    let Some(file) = std::env::args().nth(1) else {
        eprintln!("top_picture FILE");
        std::process::exit(2);
    };
    let settings: Vec<Setting> = (0..4).map(|_| Setting::new("picture", User::Caller)).collect();
    let policies = [
        wide_policy_with("cpu", "0.25"),
        wide_policy_with("memory", "40000000"),
        wide_policy_with("filewrite", "1000000").replace("call removefile allow\n", ""),
        wide_policy_with("events", "10"),
    ];
    let programs = [("crunch", BUSY), ("index", MEMORY), ("archive", WRITER), ("listener", IDLE)];
    let runs: Vec<LiveRun> = settings
        .iter()
        .zip(&policies)
        .zip(programs)
        .map(|((setting, policy), (name, program))| {
            let launch: Launch = setting.launch(policy, program);
            LiveRun::start(launch, User::Caller, name)
        })
        .collect();
    std::thread::sleep(std::time::Duration::from_millis(2_500));
    let mut top = Command::new(integration::bin("repy-launch"));
    top.args(["top", "--once", "--color", "--sort", "cpu"]).env("COLUMNS", "140").stdin(Stdio::null());
    let output = top.output().unwrap_or_else(|error| panic!("top: {error}"));
    drop(runs);
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    // The names carry the number of this very process.
    text = text
        .replace(&format!("-{}", std::process::id()), &" ".repeat(std::process::id().to_string().len() + 1));
    std::fs::write(&file, svg(&text)).unwrap_or_else(|error| panic!("{file}: {error}"));
    println!("{file}: {} lines", text.lines().count());
}

const WIDTH: f64 = 7.8;
const HEIGHT: f64 = 18.0;

fn svg(text: &str) -> String {
    let columns = text.lines().map(|line| plain(line).chars().count()).max().unwrap_or(0) + 2;
    let lines = text.lines().count();
    let (width, height) = (columns as f64 * WIDTH, (lines as f64 + 1.5) * HEIGHT);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"repy-launch top\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#1b1f24\"/>\n\
         <g font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"13\" xml:space=\"preserve\">\n"
    );
    for (row, line) in text.lines().enumerate() {
        let y = (row as f64 + 1.4) * HEIGHT;
        let mut column = 1;
        for (colour, piece) in pieces(line) {
            let length = piece.chars().count();
            let seen = piece.trim_end().chars().count();
            if seen > 0 {
                // Each piece is put where it belongs: fonts differ in the width of blocks.
                let _ = writeln!(
                    svg,
                    "<text x=\"{:.1}\" y=\"{y:.1}\" fill=\"{}\" textLength=\"{:.1}\" lengthAdjust=\"spacingAndGlyphs\">{}</text>",
                    column as f64 * WIDTH,
                    fill(&colour),
                    seen as f64 * WIDTH,
                    escape(&piece)
                );
            }
            column += length;
        }
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

fn plain(line: &str) -> String {
    pieces(line).into_iter().map(|(_, piece)| piece).collect()
}

/// A line in pieces of one colour, words kept apart so that columns stay columns.
fn pieces(line: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut colour = String::new();
    for part in line.split('\u{1b}') {
        let text = match part.strip_prefix('[').and_then(|rest| rest.split_once('m')) {
            Some((code, text)) => {
                colour = code.to_owned();
                text
            }
            None => part,
        };
        let mut piece = String::new();
        for letter in text.chars() {
            if piece.ends_with(' ') && letter != ' ' {
                found.push((colour.clone(), std::mem::take(&mut piece)));
            }
            piece.push(letter);
        }
        found.push((colour.clone(), piece));
    }
    found
}

fn fill(code: &str) -> &'static str {
    match code {
        "1" => "#ffffff",
        "2" => "#5b6470",
        "31" | "1;31" => "#ff6b60",
        "32" => "#7ccf7a",
        "33" => "#e8c15a",
        "36" => "#66c7d8",
        _ => "#c9d1d9",
    }
}

fn escape(text: &str) -> String {
    text.trim_end().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
