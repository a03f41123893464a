//! What keys do. Pure: the loop carries out what is asked.

use super::sample::Row;

/// By what the table is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Sort {
    /// Processor use, the most first.
    #[default]
    Cpu,
    /// Memory, the most first.
    Memory,
    /// Disk space, the most first.
    Disk,
    /// Refusals, the most first.
    Denials,
    /// Age, the oldest first.
    Uptime,
    /// Name.
    Name,
}

/// What the person asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Nothing but a new picture.
    Draw,
    /// Stop the selected run.
    Stop,
    /// The end.
    Quit,
}

/// What is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The order.
    pub sort: Sort,
    /// Index of the selected run.
    pub selected: usize,
    /// The launcher of the selected run, which is followed wherever the order puts it:
    /// nobody stops another one because the table moved under the key.
    pub followed: Option<i32>,
    /// Whether the selected run is shown in full.
    pub details: bool,
    /// Whether stopping the selected run waits for a yes.
    pub confirm: bool,
}

impl View {
    /// Sorts, and keeps the selection within the table.
    pub fn arrange(&mut self, rows: &mut [Row]) {
        let most = |a: f64, b: f64| b.total_cmp(&a);
        rows.sort_by(|a, b| {
            let order = match self.sort {
                Sort::Cpu => most(a.cpu.used, b.cpu.used),
                Sort::Memory => most(a.memory.used, b.memory.used),
                Sort::Disk => most(a.disk.used, b.disk.used),
                Sort::Denials => b.denials.cmp(&a.denials),
                Sort::Uptime => most(a.uptime, b.uptime),
                Sort::Name => a.name.cmp(&b.name),
            };
            order.then_with(|| a.launcher.cmp(&b.launcher))
        });
        let place = self.followed.and_then(|pid| rows.iter().position(|row| row.launcher == pid));
        if self.followed.is_some() && place.is_none() {
            // It has ended.
            (self.details, self.confirm) = (false, false);
        }
        self.selected = place.unwrap_or(self.selected).min(rows.len().saturating_sub(1));
        self.followed = rows.get(self.selected).map(|row| row.launcher);
    }

    /// Selects a place, whatever run is there.
    fn select(&mut self, place: usize) {
        (self.selected, self.followed) = (place, None);
    }

    fn sort_by(&mut self, sort: Sort) {
        self.sort = sort;
        self.select(0);
    }

    /// Takes the bytes of a key.
    pub fn key(&mut self, bytes: &[u8], count: usize) -> Ask {
        if self.confirm {
            self.confirm = false;
            return if bytes == b"y" { Ask::Stop } else { Ask::Draw };
        }
        match bytes {
            // Ctrl-C and Ctrl-D, since the terminal sends no signals meanwhile.
            b"q" | b"\x03" | b"\x04" => return Ask::Quit,
            b"\x1b" if self.details => self.details = false,
            b"\x1b" => return Ask::Quit,
            b"\x1b[A" | b"\x1bOA" | b"k" => self.select(self.selected.saturating_sub(1)),
            b"\x1b[B" | b"\x1bOB" | b"j" => {
                self.select((self.selected + 1).min(count.saturating_sub(1)));
            }
            b"\r" | b"\n" => self.details = !self.details && count > 0,
            b"s" => self.confirm = count > 0,
            b"c" => self.sort_by(Sort::Cpu),
            b"m" => self.sort_by(Sort::Memory),
            b"d" => self.sort_by(Sort::Disk),
            b"x" => self.sort_by(Sort::Denials),
            b"u" => self.sort_by(Sort::Uptime),
            b"n" => self.sort_by(Sort::Name),
            _ => {}
        }
        Ask::Draw
    }
}

#[cfg(test)]
mod tests {
    use super::super::draw::tests::row;
    use super::*;

    #[test]
    fn a_run_is_stopped_only_after_a_yes() {
        let mut view = View::default();
        assert_eq!(view.key(b"s", 2), Ask::Draw);
        assert!(view.confirm);
        assert_eq!(view.key(b"n", 2), Ask::Draw);
        assert!(!view.confirm && view.sort == Sort::Cpu);
        view.key(b"s", 2);
        assert_eq!(view.key(b"y", 2), Ask::Stop);
        // Nothing is there to stop.
        view.key(b"s", 0);
        assert_eq!(view.key(b"y", 0), Ask::Draw);
    }

    #[test]
    fn the_selection_stays_in_the_table() {
        let mut view = View::default();
        for _ in 0..5 {
            view.key(b"\x1b[B", 3);
        }
        assert_eq!(view.selected, 2);
        for _ in 0..5 {
            view.key(b"k", 3);
        }
        assert_eq!(view.selected, 0);
        view.selected = 9;
        view.arrange(&mut []);
        assert_eq!(view.selected, 0);
    }

    #[test]
    fn what_is_selected_is_a_run_and_no_place() {
        let run = |launcher, name: &str, cpu| Row { launcher, ..row(name, cpu) };
        let mut rows = vec![run(1, "a", 0.3), run(2, "b", 0.2)];
        let mut view = View::default();
        view.arrange(&mut rows);
        view.key(b"s", 2);
        // Another one is busier now: the question is still about the first.
        (rows[0].cpu.used, rows[1].cpu.used) = (0.1, 0.9);
        view.arrange(&mut rows);
        assert!(view.confirm && rows[view.selected].launcher == 1);
        // A run that ends takes its question with it.
        rows.retain(|row| row.launcher == 2);
        view.arrange(&mut rows);
        assert!(!view.confirm && rows[view.selected].launcher == 2);
        // A new order begins at its top.
        let mut rows = vec![run(2, "b", 0.2), run(3, "a", 0.1)];
        view.key(b"n", 2);
        view.arrange(&mut rows);
        assert_eq!((view.selected, rows[0].launcher), (0, 3));
    }

    #[test]
    fn escape_leaves_the_details_first() {
        let mut view = View::default();
        view.key(b"\r", 1);
        assert!(view.details);
        assert_eq!(view.key(b"\x1b", 1), Ask::Draw);
        assert_eq!(view.key(b"\x1b", 1), Ask::Quit);
        assert_eq!(view.key(b"\x03", 1), Ask::Quit);
    }
}
