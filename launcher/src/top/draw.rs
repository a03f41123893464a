//! The table as text: cells of fixed width, bars of blocks, colours if wanted.

use super::keys::{Sort, View};
use super::sample::{Gauge, Row};
use crate::ps::format::{bytes, clean, duration};
use crate::registry::live::{Live, ResourceUse};

/// Where it is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Canvas {
    /// Columns.
    pub width: usize,
    /// Lines; None if there is no end.
    pub height: Option<usize>,
    /// Whether colours may be used.
    pub colour: bool,
    /// Whether a run is selected and keys are explained.
    pub interactive: bool,
}

/// Blocks of a bar.
const BAR: usize = 8;

/// The columns, in their order: title, width, and from what width of the terminal
/// on it is shown.
const COLUMNS: [(&str, usize, usize); 10] = [
    ("NAME", 14, 0),
    ("PID", 8, 158),
    ("USER", 8, 150),
    ("UPTIME", 7, 74),
    ("CPU", BAR + 12, 0),
    ("MEMORY", BAR + 13, 0),
    ("DISK", BAR + 13, 100),
    ("BUSIEST RATE", BAR + 24, 140),
    ("EVENTS", 6, 108),
    ("SOCK", 4, 108),
];

/// The last column.
const DENIED: (&str, usize) = ("DENIED", 6);

/// Everything that fits.
pub fn draw(rows: &[Row], view: &View, canvas: Canvas) -> String {
    let mut lines = vec![head(rows, canvas)];
    match rows.get(view.selected).filter(|_| view.details) {
        Some(row) => lines.extend(details(row)),
        None => {
            lines.push(paint(&titles(canvas), "1", canvas));
            // The part of a long table that holds the selected run.
            let room = canvas.height.filter(|_| canvas.interactive).map(|height| height.saturating_sub(3));
            let first = room.map_or(0, |room| (view.selected + 1).saturating_sub(room));
            let shown = rows.iter().enumerate().skip(first);
            lines.extend(shown.map(|(index, row)| line(row, index == view.selected, canvas)));
        }
    }
    if canvas.interactive {
        let room = canvas.height.unwrap_or(24).saturating_sub(1);
        lines.truncate(room);
        lines.resize(room, String::new());
        lines.push(foot(rows, view, canvas));
    }
    lines.join("\n")
}

fn head(rows: &[Row], canvas: Canvas) -> String {
    let sum = |of: fn(&Row) -> f64| rows.iter().map(of).fold(0.0, |sum, value| sum + value);
    let text = format!(
        "repy-launch top: {} runs, processor {:.1} %, memory {}, disk {}, {} denied",
        rows.len(),
        sum(|row| row.cpu.used) * 100.0,
        bytes(sum(|row| row.memory.used)),
        bytes(sum(|row| row.disk.used)),
        rows.iter().map(|row| row.denials).sum::<u64>(),
    );
    fit(&text, canvas.width).trim_end().to_owned()
}

fn foot(rows: &[Row], view: &View, canvas: Canvas) -> String {
    let text = match rows.get(view.selected) {
        Some(row) if view.confirm => format!("stop {}? y/n", clean(&row.name)),
        _ => format!(
            "q quit  enter details  s stop  up/down select  sort: c cpu  m memory  d disk  x denied  u uptime  n name  [{}]",
            match view.sort {
                Sort::Cpu => "cpu",
                Sort::Memory => "memory",
                Sort::Disk => "disk",
                Sort::Denials => "denied",
                Sort::Uptime => "uptime",
                Sort::Name => "name",
            }
        ),
    };
    paint(fit(&text, canvas.width).trim_end(), if view.confirm { "1;31" } else { "2" }, canvas)
}

fn shown(canvas: Canvas) -> impl Iterator<Item = (usize, &'static str, usize)> {
    COLUMNS
        .iter()
        .enumerate()
        .filter(move |(_, (_, _, from))| canvas.width >= *from)
        .map(|(index, (title, width, _))| (index, *title, *width))
}

fn titles(canvas: Canvas) -> String {
    let cells: Vec<String> = shown(canvas).map(|(_, title, width)| fit(title, width)).collect();
    format!("{} {}", cells.join(" "), DENIED.0)
}

fn line(row: &Row, selected: bool, canvas: Canvas) -> String {
    let marked = selected && canvas.interactive;
    let cells: Vec<String> = shown(canvas)
        .map(|(index, _, width)| match index {
            // Reversed, which is no colour.
            0 if marked => format!("\x1b[7m{}\x1b[0m", fit(&clean(&row.name), width)),
            0 => paint(&fit(&clean(&row.name), width), "36", canvas),
            1 => fit(&row.launcher.to_string(), width),
            2 => fit(&clean(&row.user), width),
            3 => fit(&duration(row.uptime), width),
            4 => {
                let text = format!("{:.1}%/{:.0}%", row.cpu.used * 100.0, row.cpu.limit * 100.0);
                bar(row.cpu, &text, width, canvas)
            }
            5 => bar(row.memory, &amounts(row.memory), width, canvas),
            6 => bar(row.disk, &amounts(row.disk), width, canvas),
            7 => rate(row, width, canvas),
            8 => fit(&format!("{:.0}/{:.0}", row.events.used, row.events.limit), width),
            _ => fit(&row.sockets.map_or_else(|| "?".to_owned(), |count| count.to_string()), width),
        })
        .collect();
    let denied = row.denials.to_string();
    let denied = if row.denials > 0 { paint(&denied, "33", canvas) } else { denied };
    format!("{} {denied}", cells.join(" "))
}

fn amounts(gauge: Gauge) -> String {
    format!("{}/{}", bytes(gauge.used), bytes(gauge.limit))
}

/// The rate that is nearest to its limit.
fn rate(row: &Row, width: usize, canvas: Canvas) -> String {
    let busiest = row.rates.iter().max_by(|(_, a), (_, b)| a.part().total_cmp(&b.part()));
    match busiest {
        Some((name, gauge)) => {
            format!("{} {}", fit(name, 9), bar(*gauge, &format!("{}/s", amounts(*gauge)), width - 10, canvas))
        }
        None => fit("-", width),
    }
}

fn bar(gauge: Gauge, text: &str, width: usize, canvas: Canvas) -> String {
    let part = gauge.part();
    let filled = ((part * BAR as f64).round() as usize).min(BAR);
    // Something is more than nothing.
    let filled = if gauge.used > 0.0 { filled.max(1) } else { filled };
    let colour = match part {
        part if part >= 0.9 => "31",
        part if part >= 0.6 => "33",
        _ => "32",
    };
    let full = paint(&"█".repeat(filled), colour, canvas);
    let empty = paint(&"░".repeat(BAR - filled), "2", canvas);
    format!("{full}{empty} {}", fit(text, width - BAR - 1))
}

/// The run in full.
fn details(row: &Row) -> Vec<String> {
    let record = &row.found.record;
    let live = row.found.live.clone().unwrap_or_default();
    let mut lines = vec![
        String::new(),
        format!(
            "{}  launcher {}, sandbox {}, user {}",
            clean(&row.name),
            row.launcher,
            row.sandbox,
            clean(&row.user)
        ),
        format!("program  {}", clean(&record.program)),
        format!("policy   {}", clean(&record.policy)),
        format!("vessel   {}", clean(&record.vessel)),
    ];
    let layers: Vec<String> = record
        .layers
        .iter()
        .map(
            |(name, state)| {
                if state == "enforced" {
                    clean(name)
                } else {
                    clean(&format!("{name} ({state})"))
                }
            },
        )
        .collect();
    lines.push(format!("layers   {}", layers.join(" ")));
    lines.extend(record.groups.iter().map(|group| format!("group    {}", clean(group))));
    lines.push(format!(
        "up {}, processor {:.2} s, throttled {} times ({:.1} s), {} calls refused by rules, {} connections accepted, {} printed",
        duration(row.uptime),
        live.cpu,
        live.throttled,
        live.throttled_seconds,
        live.refusals,
        live.accepted,
        bytes(live.printed as f64)
    ));
    lines.push(String::new());
    lines.push(format!(
        "{:12} {:>9} {:>9} {:>9} {:>7} {:>9}",
        "RESOURCE", "LIMIT", "TOTAL", "PEAK", "DENIED", "WAITED"
    ));
    let mut used: Vec<_> =
        record.limits.iter().map(|(name, limit)| (name, limit, use_of(&live, name))).collect();
    // What a small screen leaves out has not been used.
    used.sort_by_key(|(_, _, use_of)| use_of.total == 0 && use_of.peak == 0 && use_of.denials == 0);
    for (name, limit, use_of) in used {
        let limit = if *limit < 10.0 { format!("{limit}") } else { bytes(*limit) };
        lines.push(format!(
            "{:12} {limit:>9} {:>9} {:>9} {:>7} {:>9}",
            clean(name),
            bytes(use_of.total as f64),
            bytes(use_of.peak as f64),
            use_of.denials,
            duration(use_of.waited)
        ));
    }
    lines
}

/// What was used of a resource. The kernel counts memory and processor, the interpreter the rest.
fn use_of(live: &Live, name: &str) -> ResourceUse {
    match name {
        "memory" => ResourceUse { total: live.memory, peak: live.memory_peak, ..ResourceUse::default() },
        "cpu" => ResourceUse { waited: live.throttled_seconds, ..ResourceUse::default() },
        _ => live.resources.get(name).cloned().unwrap_or_default(),
    }
}

/// Exactly `width` columns, cut or filled.
fn fit(text: &str, width: usize) -> String {
    let mut cut: String = text.chars().take(width).collect();
    let length = cut.chars().count();
    cut.extend(std::iter::repeat_n(' ', width.saturating_sub(length)));
    cut
}

fn paint(text: &str, colour: &str, canvas: Canvas) -> String {
    if canvas.colour && !text.is_empty() {
        format!("\x1b[{colour}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
pub(in crate::top) mod tests {
    use super::super::sample::tests::found;
    use super::*;

    pub(in crate::top) fn row(name: &str, cpu: f64) -> Row {
        let gauge = |used, limit| Gauge { used, limit };
        Row {
            launcher: 10,
            sandbox: 12,
            name: name.to_owned(),
            user: "root".to_owned(),
            uptime: 75.0,
            cpu: gauge(cpu, 0.5),
            memory: gauge(9.5e6, 1e7),
            disk: gauge(0.0, 1e6),
            rates: vec![("netsend", gauge(70.0, 100.0)), ("looprecv", gauge(1.0, 100.0))],
            events: gauge(3.0, 10.0),
            sockets: Some(2),
            denials: 4,
            found: found(name),
        }
    }

    fn canvas(width: usize) -> Canvas {
        Canvas { width, height: Some(10), colour: false, interactive: false }
    }

    #[test]
    fn the_table_at_every_width() {
        let rows = [row("web", 0.25), row("a\u{1b}[2Jname that is far too long for its column", 0.0)];
        let text = draw(&rows, &View::default(), canvas(160));
        insta::assert_snapshot!(text);
        for width in [40, 80, 100, 120, 160, 300] {
            for line in draw(&rows, &View::default(), canvas(width)).lines() {
                assert!(line.chars().count() <= width.max(72), "{width}: {line}");
                assert!(!line.contains('\u{1b}'));
            }
        }
    }

    #[test]
    fn the_screen_is_filled_to_its_last_line() {
        let mut interactive = Canvas { interactive: true, ..canvas(120) };
        let rows: Vec<Row> = (0..50).map(|index| row(&format!("run{index}"), 0.1)).collect();
        assert_eq!(draw(&rows, &View::default(), interactive).lines().count(), 10);
        interactive.height = Some(40);
        assert_eq!(draw(&rows[..2], &View::default(), interactive).lines().count(), 40);
        // The selected run is on the screen, however long the table is.
        let view = View { selected: 33, ..View::default() };
        let screen = draw(&rows, &view, Canvas { height: Some(10), ..interactive });
        assert!(screen.contains("\u{1b}[7mrun33 ") && !screen.contains("run34"), "{screen}");
        assert_eq!(screen.lines().count(), 10);
        let view = View { confirm: true, ..View::default() };
        assert!(draw(&rows, &view, interactive).ends_with("stop run0? y/n"));
    }

    #[test]
    fn details_show_every_limit() {
        let view = View { details: true, ..View::default() };
        let text = draw(&[row("web", 0.1)], &view, canvas(120));
        for word in ["program  /x/prog.repy", "policy   /p", "netsend", "memory", "WAITED"] {
            assert!(text.contains(word), "{word}:\n{text}");
        }
    }

    #[test]
    fn colours_tell_how_near_a_limit_is() {
        let coloured = Canvas { colour: true, ..canvas(100) };
        let text = draw(&[row("web", 0.1)], &View::default(), coloured);
        // Memory at 95 % is red, the processor at 20 % green.
        assert!(text.contains("\x1b[31m████████") && text.contains("\x1b[32m██\x1b[0m"), "{text:?}");
    }
}
