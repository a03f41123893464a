//! The manual page, from the same definitions as `--help` and the exit status.

use clap::Command;

use super::arguments;
use crate::verdict;

/// docs/repy-launch.1, in `man` macros.
pub fn page() -> String {
    let command = arguments::command();
    let mut page = format!(
        ".TH REPY-LAUNCH 1 \"\" \"repy-launch {}\" \"User Commands\"\n.SH NAME\nrepy-launch \\- {}\n.SH SYNOPSIS\n",
        env!("CARGO_PKG_VERSION"),
        about(&command)
    );
    page.push_str(".B repy-launch \\-\\-policy\n.I FILE\n.RI [ OPTIONS ]\n.I PROGRAM\n.RI [ ARGUMENT ]...\n");
    for other in command.get_subcommands().filter(|other| !other.is_hide_set()) {
        page.push_str(&format!(".br\n.B repy-launch {}\n{}\n", escape(other.get_name()), synopsis(other)));
    }
    page.push_str(
        ".SH DESCRIPTION\nRuns a program in the Repy language under a restrictions file, held by the kernel.\nOptions come \
         before the program; every word after it belongs to the program.\nLinked under the name\n.BR repy ,\nit takes\n\
         .I RESTRICTIONS PROGRAM\nafter the options, in the original's order.\n",
    );
    page.push_str(".SH OPTIONS\n");
    options(&command, &mut page);
    page.push_str(".SH COMMANDS\n");
    for other in command.get_subcommands().filter(|other| !other.is_hide_set()) {
        page.push_str(&format!(".SS {}\n{}.\n", escape(other.get_name()), escape(&about(other))));
        options(other, &mut page);
    }
    page.push_str(&verdict::manual());
    page.push_str(
        ".SH SEE ALSO\n.BR landlock (7),\n.BR seccomp (2),\n.BR cgroups (7),\n.BR namespaces (7)\n",
    );
    page
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

/// The words after a command's name.
fn synopsis(command: &Command) -> String {
    let mut text = String::new();
    for argument in command.get_arguments().filter(|argument| argument.get_long() != Some("help")) {
        let value = argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
        let words = match (argument.get_long(), value) {
            (Some(long), Some(value)) if argument.get_action().takes_values() => {
                format!("[\\-\\-{} {value}]", escape(long))
            }
            (Some(long), _) => format!("[\\-\\-{}]", escape(long)),
            (None, Some(value)) if argument.is_required_set() => value,
            (None, value) => format!("[{}]", value.unwrap_or_default()),
        };
        text.push_str(&words);
        text.push(' ');
    }
    text.trim_end().to_owned()
}

/// One paragraph for each option.
fn options(command: &Command, page: &mut String) {
    for argument in command.get_arguments().filter(|argument| argument.get_long().is_some()) {
        let mut heading = String::new();
        if let Some(short) = argument.get_short() {
            heading.push_str(&format!("\\-{short}, "));
        }
        heading.push_str(&format!("\\-\\-{}", escape(argument.get_long().unwrap_or_default())));
        if argument.get_action().takes_values() {
            let value = argument.get_value_names().and_then(|names| names.first());
            heading.push_str(&format!(" {}", value.map_or("VALUE", |name| name.as_str())));
        }
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        page.push_str(&format!(".TP\n.B {heading}\n{}.\n", escape(&help)));
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('-', "\\-")
}

#[cfg(test)]
mod tests {
    /// The page in docs/ is the one printed by `repy-launch manual`.
    #[test]
    fn the_page_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/repy-launch.1");
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert!(stored == super::page(), "write it anew: repy-launch manual > docs/repy-launch.1");
    }

    #[test]
    fn the_page_names_every_option_and_no_line_is_a_stray_request() {
        let page = super::page();
        for name in ["policy", "without", "wall", "max\\-accepted", "sweep"] {
            assert!(page.contains(&format!("\\-\\-{name}")), "{name}");
        }
        for line in page.lines().filter(|line| line.starts_with('.')) {
            let request = line.split(' ').next().unwrap_or("");
            assert!(
                [".TH", ".SH", ".SS", ".TP", ".B", ".BR", ".I", ".RI", ".br"].contains(&request),
                "{line}"
            );
        }
    }
}
