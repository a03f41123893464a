//! Manual pages and completions, from the same definitions as `--help` and the
//! exit status.

use clap::Command;

use super::arguments::{self, Page, Shell};
use crate::verdict;

/// A page, in `man` macros.
pub fn of(page: Page) -> String {
    match page {
        Page::RepyLaunch => self::page(),
        Page::Restrictions => policies::manual::restrictions(),
    }
}

/// What a shell needs to complete command lines.
pub fn completions(shell: Shell) -> String {
    use clap_complete::Shell as Of;
    let of = match shell {
        Shell::Bash => Of::Bash,
        Shell::Zsh => Of::Zsh,
        Shell::Fish => Of::Fish,
    };
    let mut bytes = Vec::new();
    clap_complete::generate(of, &mut arguments::command(), "repy-launch", &mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // Release 4.6 of clap_complete writes a name with a hyphen in two ways in bash's script.
    text.replace("repy__subcmd__launch", "repy__launch")
}

/// repy-launch(1).
fn page() -> String {
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
        page.push_str(&format!(".SS {}\n{}.\n", escape(other.get_name()), escape(&long_about(other))));
        options(other, &mut page);
        if let Some(more) = other.get_after_help() {
            page.push_str(&verbatim(&more.to_string()));
        }
    }
    page.push_str(".SH EXAMPLES\n");
    page.push_str(&verbatim(&command.get_after_long_help().map(ToString::to_string).unwrap_or_default()));
    page.push_str(&verdict::manual());
    page.push_str(
        ".SH SEE ALSO\n.BR restrictions (5),\n.BR repy-language (7),\n.BR repy-api (3),\n.BR landlock (7),\n.BR seccomp (2),\n.BR cgroups (7),\n.BR namespaces (7)\n",
    );
    page
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

/// All that is said of a command, in one paragraph.
fn long_about(command: &Command) -> String {
    let text = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    text.replace("\n\n", ". ").replace('\n', " ").trim_end_matches('.').to_owned()
}

/// Text that is shown as it is.
fn verbatim(text: &str) -> String {
    let lines = text.lines().map(|line| match line.starts_with(['.', '\'']) {
        true => format!("\\&{}\n", escape(line)),
        false => format!("{}\n", escape(line)),
    });
    format!(".PP\n.nf\n{}.fi\n", lines.collect::<String>())
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
    #[test]
    fn the_page_names_every_option_and_no_line_is_a_stray_request() {
        let page = super::page();
        for name in ["policy", "without", "wall", "max\\-accepted", "sweep"] {
            assert!(page.contains(&format!("\\-\\-{name}")), "{name}");
        }
        for line in page.lines().filter(|line| line.starts_with('.')) {
            let request = line.split(' ').next().unwrap_or("");
            assert!(
                [".TH", ".SH", ".SS", ".TP", ".B", ".BR", ".I", ".RI", ".br", ".PP", ".nf", ".fi"]
                    .contains(&request),
                "{line}"
            );
        }
    }
}
